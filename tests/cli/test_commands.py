"""What commands promise beyond their words: JSON that parses, and a past that bad input never harms."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from studio.core.references import Ref
from studio.state.base import Artifact
from studio.state.lease import held
from studio.state.sql import SqlState, open_engine, open_reader
from tests import projects

from .front_door import ask

URL = "sqlite:///.studio/state.db"


def strict(text: str) -> Any:
    """JSON without the infinities that Python would accept."""
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


@contextmanager
def recorded(root: Path) -> Iterator[dict[str, Any]]:
    """Records, artifacts and runs must be the same after the block."""
    before = past(root)
    assert before["records"]
    yield before
    assert past(root) == before


def past(root: Path) -> dict[str, Any]:
    state = open_reader(URL, root, "default")
    assert isinstance(state, SqlState)
    found = {
        "records": state.records(),
        "runs": state.runs(),
        "artifacts": {kind: state.outputs(kind) for kind in ("FineTuningJob", "EvaluationJob", "ModelExport")},
        "operations": state.operations(),
    }
    state.engine.dispose()
    return found


# JSON


@pytest.mark.parametrize(
    "arguments",
    [
        ["plan", "--json"],
        ["validate", "--format", "json"],
        ["status", "--json"],
        ["version", "--json"],
        ["show", "--defaults", "--json"],
    ],
    ids=" ".join,
)
def test_json_on_stdout_parses_and_its_keys_are_sorted(desk: Path, arguments: list[str]) -> None:
    answer = ask(desk, *arguments)
    content = strict(answer.out)
    assert answer.code == 0 and answer.err == ""
    assert answer.out == json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def test_a_printed_plan_matches_its_schema(desk: Path) -> None:
    schema = strict((projects.ROOT / "schemas" / "plan.schema.json").read_text())
    jsonschema.validate(strict(ask(desk, "plan", "--json").out), schema, jsonschema.Draft202012Validator)


def test_errors_are_json_too_when_json_was_asked_for(desk: Path) -> None:
    (desk / "data" / "tickets.csv").unlink()
    answer = ask(desk, "plan", "--json")
    content = strict(answer.out)
    assert answer.code == 1 and content["summary"]["error"] == len(content["findings"]) == 1
    assert content["findings"][0]["file"] == "manifests/all.yaml" and content["findings"][0]["line"] > 1


def test_show_prints_one_resource_as_json(data_only: Path) -> None:
    assert ask(data_only, "apply", "--yes").code == 0
    shown = strict(ask(data_only, "show", "dataset/tickets", "--json").out)
    listed = strict(ask(data_only, "status", "--json").out)
    assert (
        shown.pop("provenance") == []
        and shown["resource"] == "Dataset/tickets"
        and shown in listed
        and len(listed) == 4
    )


def test_a_name_that_two_kinds_have_must_be_said_with_its_kind(tmp_path: Path) -> None:
    documents = [
        *projects.data_resources(),
        projects.manifest("Config", "tiny", {"type": "custom", "config": {"a": 1}}),
    ]
    root = projects.write(tmp_path, documents)
    assert ask(root, "apply", "--yes").code == 0
    answer = ask(root, "show", "tiny")
    assert answer.code == 64 and "say which: Config/tiny, Model/tiny" in answer.err
    assert ask(root, "show", "Model/tiny").code == 0


# Plan and apply


def test_a_detailed_exit_code_tells_whether_changes_are_pending(data_only: Path) -> None:
    assert ask(data_only, "plan", "--detailed-exitcode").code == 2
    assert ask(data_only, "plan").code == 0
    assert ask(data_only, "apply", "--yes").code == 0
    assert ask(data_only, "plan", "--detailed-exitcode").code == 0


def test_after_apply_a_plan_is_empty_and_apply_leaves_no_trace(data_only: Path) -> None:
    assert ask(data_only, "apply", "--yes").code == 0
    with recorded(data_only):
        again = ask(data_only, "apply", "--yes")
    assert again.code == 0 and again.out.startswith("Nothing to do: 4 resources up to date.")


def file_artifacts(root: Path) -> None:
    """What the jobs of the project would have produced, as if another environment had run them."""
    outputs: dict[str, dict[str, Any]] = {
        "FineTuningJob": {"task": "training", "adapter": "adapter", "digest": "d" * 64, "metrics": {"train_loss": 0.5},
                          "train_rows": 32, "held_out_rows": 8, "curve": "", "model_family": "LlamaForCausalLM"},
        "EvaluationJob": {"task": "evaluation", "rows": 8, "chart": "", "combinations": [
            {"model": "tiny", "adapter": "", "metrics": {"exact_match": 0.1}, "predictions": "", "mlflow_run_id": ""},
            {"model": "tiny", "adapter": "router", "metrics": {"exact_match": 0.9}, "predictions": "",
             "mlflow_run_id": ""}]},
        "ModelExport": {"task": "export", "model_name": "router", "model_version": "1", "uri": "models:/router/1",
                        "digest": "", "description": ""},
    }  # fmt: skip
    (root / "adapter").mkdir(exist_ok=True)
    (root / "adapter" / "adapter_model.safetensors").write_bytes(b"")
    engine = open_engine(URL, root)
    with held(engine, "elsewhere", "studio apply") as state:
        for item in projects.wanted(root).items.values():
            if item.resource.is_job:
                made = outputs[item.ref.kind]
                state.save_artifact(
                    Artifact(item.ref.kind, item.fingerprint, made, "key", "run", "mlflow", "1", 61.0, {}, "2024")
                )
    engine.dispose()


def test_work_done_in_another_environment_is_taken_over_without_running_anything(desk: Path) -> None:
    file_artifacts(desk)
    planned = ask(desk, "plan")
    assert "= reuse   FineTuningJob/train" in planned.out and "4 to create, 3 to reuse" in planned.out
    applied = ask(desk, "apply", "--yes")
    assert applied.code == 0 and "4 done, 3 reused" in applied.out
    assert past(desk)["runs"] == [] and ask(desk, "plan", "--detailed-exitcode").code == 0
    assert "gates passed" in ask(desk, "status").out
    assert "0.9 (+0.8)" in ask(desk, "show", "compare").out and "1 min 1 s" in ask(desk, "show", "train").out


def test_when_the_adapters_folder_is_gone_the_job_is_replaced(desk: Path) -> None:
    file_artifacts(desk)
    assert ask(desk, "apply", "--yes").code == 0
    shutil.rmtree(desk / "adapter")
    with recorded(desk):
        answer = ask(desk, "plan")
    assert (
        "± replace FineTuningJob/train" in answer.out
        and "because its adapter is neither on this disk nor kept on the MLflow server of this environment"
        in answer.out
    )


def test_a_stricter_gate_is_decided_again_from_the_recorded_metrics(desk: Path) -> None:
    file_artifacts(desk)
    assert ask(desk, "apply", "--yes").code == 0
    gates = [{"metric": "exact_match", "adapter": "router", "min": 0.95}]
    projects.write(desk, projects.with_spec(projects.support_desk(), "EvaluationJob", gates=gates))
    answer = ask(desk, "apply", "--yes")
    assert answer.code == 1 and "exact_match of router: 0.9, not at least 0.95" in answer.out
    assert past(desk)["runs"] == []
    assert "gate missed" in ask(desk, "status").out


def test_a_locked_state_ends_apply_with_3_and_names_the_holder(data_only: Path) -> None:
    engine = open_engine(URL, data_only)
    with held(engine, "default", "studio apply"):
        answer = ask(data_only, "apply", "--yes")
        assert ask(data_only, "plan").code == 0
    engine.dispose()
    assert answer.code == 3 and "locked by 'studio apply', process" in answer.err
    assert ask(data_only, "apply", "--yes").code == 0


# Bad input loses nothing that was recorded


def write(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda root: (root / name).write_bytes(content)


def remove(name: str) -> Callable[[Path], object]:
    return lambda root: (root / name).unlink()


MANIFEST = "manifests/all.yaml"
BAD_INPUT = {
    "a 0-byte manifest": write(MANIFEST, b""),
    "no manifest at all": remove(MANIFEST),
    "a binary manifest": write(MANIFEST, b"\x7fELF\x00\x01\x02"),
    "a manifest that is not UTF-8": write(MANIFEST, b"\xff\xfe"),
    "an unclosed manifest": write(MANIFEST, b"kind: ["),
    "an alias bomb": write(MANIFEST, b"a: &a [*a]"),
    "a manifest of another kind": write(MANIFEST, b"apiVersion: v1\nkind: Pod\n"),
    "a key that is null": write(MANIFEST, b"apiVersion: studio/v1\nkind: Dataset\n~: 1\nmetadata: {name: tickets}\n"),
    "a list in place of a mapping": write(MANIFEST, b"apiVersion: studio/v1\nkind: Dataset\nmetadata: []\nspec: []\n"),
    "a circular link": lambda root: (root / "manifests" / "z.yaml").symlink_to("z.yaml"),
    "a link out of the project": lambda root: (root / "manifests" / "z.yaml").symlink_to("/etc/hostname"),
    "missing settings": remove("studio.yaml"),
    "empty settings": write("studio.yaml", b""),
    "binary settings": write("studio.yaml", b"\x00\x01"),
    "broken settings": write("studio.yaml", b"kind: Project\nspec: ["),
    "settings of another state": write("studio.yaml", b"kind: Project\nspec: {state: nonsense}\n"),
    "settings without their manifest folder": write("studio.yaml", b"kind: Project\nspec: {manifests: [nowhere]}\n"),
    "missing data": remove("data/tickets.csv"),
    "empty data": write("data/tickets.csv", b""),
    "ragged data": write("data/tickets.csv", b"text,queue\na,b,c\n"),
    "data that is not UTF-8": write("data/tickets.csv", b"text,queue\n\xff,b\n"),
    "a missing model": remove("models/tiny/config.json"),
    "a damaged model": write("models/tiny/config.json", b"[" * 100_000),
    "a model without weights": remove("models/tiny/model.safetensors"),
    "a pickled model": lambda root: (root / "models/tiny/model.safetensors").rename(root / "models/tiny/model.bin"),
    "a link out of the model": lambda root: (root / "models/tiny/x").symlink_to("/etc/hostname"),
}


@pytest.mark.parametrize("spoil", BAD_INPUT.values(), ids=BAD_INPUT.keys())
def test_bad_input_is_told_in_words_and_loses_nothing_that_was_recorded(
    data_only: Path, spoil: Callable[[Path], object]
) -> None:
    assert ask(data_only, "apply", "--yes").code == 0
    with recorded(data_only):
        spoil(data_only)
        answers = [ask(data_only, *words) for words in (["validate"], ["plan"], ["apply", "--yes"], ["status"])]
        for answer in answers:
            assert answer.code in (0, 1, 64) and answer.out + answer.err
            assert "Traceback" not in answer.out + answer.err
        said = "".join(answer.out + answer.err for answer in answers[:2])
        assert any(word in said for word in ("error", "warning")), said


def test_an_emptied_project_keeps_its_records_and_says_so(data_only: Path) -> None:
    assert ask(data_only, "apply", "--yes").code == 0
    with recorded(data_only):
        (data_only / MANIFEST).write_text("")
        answer = ask(data_only, "plan")
    assert answer.code == 0 and "4 recorded resources without a manifest stay as they are" in answer.out
    assert Ref("Dataset", "tickets") in past(data_only)["records"]


@pytest.mark.parametrize("content", [b"not a database at all, but longer than a header" * 10, b"\x00" * 4096])
def test_a_state_file_that_is_none_is_told_and_left_alone(data_only: Path, content: bytes) -> None:
    (data_only / ".studio").mkdir()
    state = data_only / ".studio" / "state.db"
    state.write_bytes(content)
    for command in (["plan"], ["apply", "--yes"], ["status"]):
        answer = ask(data_only, *command)
        assert answer.code == 1 and "file is not a database" in answer.err, answer
    assert state.read_bytes() == content


def test_a_backend_that_there_is_not_is_an_error_of_every_command(data_only: Path) -> None:
    (data_only / "studio.yaml").write_text("kind: Project\nspec: {backend: {type: lokal}}\n")
    for command in ("validate", "plan", "status"):
        answer = ask(data_only, command)
        assert answer.code == 1 and "did you mean 'local'?" in answer.out + answer.err
