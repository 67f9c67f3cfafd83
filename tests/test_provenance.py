"""Where a resource came from: what state knows of what it was made of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from studio.core.references import Ref
from studio.provenance import chain, origin
from studio.state.base import Artifact, Operation, Record, RecordStatus, Run, RunStatus
from tests import projects
from tests.cli import states
from tests.cli.front_door import ask

JOB, EXPORT, MODEL, DATA = (
    Ref("FineTuningJob", "train"), Ref("ModelExport", "release"), Ref("Model", "tiny"), Ref("Dataset", "tickets"),
)  # fmt: skip
TRAINED = {"task": "training", "adapter": "adapters/router", "digest": "d" * 64, "metrics": {}, "curve": ""}
EXPORTED = {
    "task": "export", "model_name": "router", "model_version": "7", "uri": "models:/router/7", "digest": "e" * 64,
    "versions": {"torch": "2.13.0", "peft": "0.21.2"},
}  # fmt: skip
T = "2026-01-0{}T00:00:00Z"


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A project whose job was trained by somebody on the second of January, and exported later."""
    root = projects.write(tmp_path / "desk", projects.data_resources())
    assert ask(root, "apply", "--yes").code == 0
    with states.writing(root) as state:
        known = {str(ref): record.fingerprint for ref, record in state.records().items()}
        job = Record(JOB, "u1", {}, {"name": "train"}, "f1", known, RecordStatus.READY, outcome={"output": TRAINED})
        inputs = {str(MODEL): known[str(MODEL)], str(JOB): "f1", "content": "c", "Adapter/gone": "f0"}
        state.save_record(job)
        state.save_record(
            Record(
                EXPORT, "u2", {}, {"name": "release"}, "f2", inputs, RecordStatus.READY, outcome={"output": EXPORTED}
            )
        )
        for day, actor in ((1, "early"), (2, "ann"), (4, "late")):
            state.save_operation(
                Operation(f"o{day}", "default", "apply", actor, f"{day}abc", T.format(day), T.format(day + 1))
            )
        state.save_run(Run("key-1", 1, "default", JOB, "f1", "local", RunStatus.FAILED, submitted_at=T.format(1)))
        state.save_run(
            Run(
                "key-1", 2, "default", JOB, "f1", "local", RunStatus.SUCCEEDED, submitted_at="2026-01-02T08:00:00Z",
                finished_at="2026-01-02T09:00:00Z",
            )
        )  # fmt: skip
        state.save_artifact(
            Artifact("FineTuningJob", "f1", TRAINED, "key-1", ".studio/runs/key-1", "", "", 1.0, {}, T.format(2))
        )
    return root


def test_an_export_is_followed_to_its_job_and_to_the_data_of_that(desk: Path) -> None:
    with states.reading(desk) as state:
        links = {link.ref: link for link in chain(EXPORT, state)}
    assert links[EXPORT].facts["uri"] == "models:/router/7" and links[EXPORT].facts["versions"]["torch"] == "2.13.0"
    assert {link.depth for link in links.values()} == {0, 1, 2}
    job = links[JOB].facts
    assert (job["run"], job["attempt"], job["by"], job["commit"], job["digest"]) == (
        "key-1", 2, "ann", "2abc", "d" * 64,
    )  # fmt: skip
    assert links[DATA].depth == 2 and links[DATA].facts["rows"] == 40 and len(links[DATA].facts["digest"]) == 64
    assert links[MODEL].depth == 2 and links[MODEL].facts["digest"]
    assert links[Ref("Prompt", "route")].facts["fingerprint"] and links[Ref("Config", "lora")].facts
    assert links[Ref("Adapter", "gone")].facts == {"fingerprint": "f0"}
    assert not any(link.changed for link in links.values())


def test_what_has_changed_since_is_marked(desk: Path) -> None:
    (desk / "data" / "tickets.csv").write_text(projects.TICKETS + "one more,card\n")
    assert ask(desk, "apply", "--yes").code == 0
    with states.reading(desk) as state:
        assert [link.ref for link in chain(EXPORT, state) if link.changed] == [DATA]
    shown = ask(desk, "show", "ModelExport/release").out
    assert shown.count("(has changed since)") == 1


def test_show_prints_the_chain_as_text_and_as_json(desk: Path) -> None:
    answer = ask(desk, "show", "ModelExport/release")
    lines = answer.out.splitlines()
    assert answer.code == 0 and "  made from" in lines, answer.err
    job = next(line for line in lines if line.startswith("      FineTuningJob/train  "))
    assert "by ann; commit 2abc" in job and "digest dddddddddddd;" in job
    assert any(line.startswith("        Dataset/tickets  ") and "rows 40" in line for line in lines)
    assert "versions peft 0.21.2, torch 2.13.0" in answer.out
    told = json.loads(ask(desk, "show", "ModelExport/release", "--json").out)["provenance"]
    assert [link["ref"] for link in told][:1] == ["ModelExport/release"]
    assert next(link for link in told if link["ref"] == "FineTuningJob/train")["facts"]["by"] == "ann"


def test_what_was_imported_or_never_filed_says_no_more_than_is_known(desk: Path) -> None:
    with states.writing(desk) as state:
        state.save_artifact(Artifact("FineTuningJob", "f9", {}, "", "", "", "", 0.0, {}, T.format(3)))
        assert origin("FineTuningJob", "f9", state, []) == {"imported": T.format(3)}
        assert origin("FineTuningJob", "none", state, []) == {}
        assert chain(Ref("Model", "none"), state) == []
    assert "made from" not in ask(desk, "show", "Dataset/tickets").out
