"""Jobs in a CML workspace from the front door: followed, read, stopped, taken away, and what they made promoted."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.backends import BACKENDS
from studio.core import beacons
from studio.core.beacons import Beacon
from studio.core.event import Event
from tests.fakes.backend import CountingBackend, result_of
from tests.fakes.workspace import faults
from tests.workspace.desk import Desk, comparison, desk, trainings

APPLY = ("apply", "--yes", "--offline")
JOB = "FineTuningJob/train-000"


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Desk]:
    """A project whose jobs run in a workspace, and on this machine in the environment ``here``."""
    documents = [*trainings(1), comparison("adapter-000")]
    with desk(tmp_path, documents) as found:
        settings = found.root / "studio.yaml"
        settings.write_text(settings.read_text() + "  environments: {here: {backend: {type: local}}}\n")
        yield found


@pytest.fixture
def local(made: Desk, monkeypatch: pytest.MonkeyPatch) -> CountingBackend:
    backend = CountingBackend(made.root)
    monkeypatch.setitem(BACKENDS, "local", lambda site: backend)
    return backend


def without_a_server(made: Desk) -> None:
    """Runs are filed on a disk, so adapters are kept nowhere else."""
    settings = made.root / "studio.yaml"
    settings.write_text(settings.read_text().replace("  mlflow: {tracking_uri: {env: STUDIO_MLFLOW}}\n", ""))


def done(made: Desk, *line: str, code: int = 0) -> str:
    found, said = made.studio(*line)
    assert found == code, said
    return said


def run_folders(root: Path) -> list[str]:
    return sorted(path.name.split("-")[0] for path in (root / ".studio" / "runs").glob("*"))


def clone(made: Desk) -> Path:
    return made.root.parent / "workspace"


def underway(made: Desk) -> str:
    """Start the training where nothing is free; the name of its job."""
    made.cml.allow(0)
    done(made, *APPLY, "--detach", "--target", JOB)
    [name] = made.jobs()
    return name


def test_what_ran_in_the_workspace_is_shown_and_its_log_read(made: Desk) -> None:
    without_a_server(made)
    assert "Applied" in done(made, *APPLY)
    assert done(made, "plan", "--detailed-exitcode")
    assert "ready" in done(made, "status")
    assert "gates" not in done(made, "show", "EvaluationJob/compare")
    folder = next((clone(made) / ".studio" / "runs").glob("finetuningjob-*"))
    (folder / "log.txt").write_text("loading\nstep 1\nhf_" + "a" * 30 + "\n")
    assert done(made, "logs", JOB) == "loading\nstep 1\n***\n"
    assert done(made, "logs", JOB, "--lines", "2") == "step 1\n***\n"
    assert done(made, "logs", JOB, "--follow").endswith(f"{JOB}: succeeded\n")
    parts = next((clone(made) / ".studio" / "runs").glob("evaluationjob-*"))
    for part in (1, 2):
        (parts / f"part-{part}" / "log.txt").write_text(f"rows of {part}\n")
    assert done(made, "logs", "EvaluationJob/compare") == (
        "── part 1 of 2 ──\nrows of 1\n── part 2 of 2 ──\nrows of 2\n"
    )


def test_a_running_job_is_shown_with_its_progress_and_can_be_stopped(made: Desk) -> None:
    name = underway(made)
    assert "running" in (said := done(made, "status")) and "scheduling" in said
    event = Event(time=made.clock(), phase="train", step=3, total=8, loss=0.5)
    path = clone(made) / Beacon(name, 1).path
    path.parent.mkdir(parents=True)
    path.write_bytes(beacons.told(event))
    assert "train 3/8 loss 0.500" in done(made, "status") and "running" in done(made, "show", JOB)
    said = done(made, "cancel", JOB)
    assert f"{JOB}: cancelled" in said and "to start again" in said
    assert "cancelled" in done(made, "status", "--watch")
    made.cml.allow(8)
    assert "Applied" in done(made, *APPLY)


@pytest.mark.parametrize(
    ("variable", "lacking"),
    [("CDSW_APIV2_KEY", "CDSW_APIV2_KEY is not set"), ("STUDIO_CML_URL", "the address of the CML workspace")],
)
def test_who_has_no_key_still_sees_what_is_recorded(
    made: Desk, monkeypatch: pytest.MonkeyPatch, variable: str, lacking: str
) -> None:
    underway(made)
    monkeypatch.delenv(variable)
    said, shown = done(made, "status"), done(made, "show", JOB)
    assert "Dataset/tickets" in said and "ready" in said, "all that nobody needs to be asked for"
    assert "not known" in said and lacking in said and lacking in shown
    assert lacking in done(made, "logs", JOB, code=1), "where there is nothing to show it is still an error"
    assert lacking in done(made, "status", "--watch", code=1)


def test_a_workspace_that_does_not_answer_is_told_for_each_job_and_holds_up_nothing(made: Desk) -> None:
    underway(made)
    made.cml.faults.always(faults.ANY, faults.UNAVAILABLE)
    before = made.clock()
    said = done(made, "status")
    assert f"{JOB}" in said and "not known" in said and "did not answer" in said
    assert "Dataset/tickets" in said and "ready" in said
    assert "did not answer" in done(made, "show", JOB)
    assert made.clock() - before <= 40, "two looks"
    said = done(made, "drift", code=0)
    assert "running jobs" in said or "did not answer" in said


def test_a_job_that_was_refused_before_it_began_took_nothing(made: Desk) -> None:
    made.cml.state.jobs.clear()
    said = done(made, *APPLY, code=1)
    assert "has no job named Accel_Finetuning_Base_Job" in said and "Spent" not in said


def test_an_adapter_whose_files_are_gone_from_the_workspace_is_trained_again(made: Desk) -> None:
    without_a_server(made)
    done(made, *APPLY)
    assert "adapter" not in done(made, "drift")
    shutil.rmtree(next((clone(made) / ".studio" / "runs").glob("finetuningjob-*")) / "adapter")
    assert done(made, "plan", "--detailed-exitcode"), "a plan opens no socket, and takes it for present"
    said = done(made, "plan", "--refresh")
    assert "are gone from the workspace" in said
    assert "are gone from the workspace" in done(made, "drift", "--detailed-exitcode", code=2)
    made.cml.faults.always(faults.ANY, faults.UNAVAILABLE)
    assert "adapters in the workspace" in done(made, "drift"), "not seen is not gone"
    made.cml.faults.clear()
    done(made, *APPLY, "--refresh")
    assert (next((clone(made) / ".studio" / "runs").glob("finetuningjob-*")) / "adapter").is_dir()
    assert done(made, "plan", "--refresh", "--detailed-exitcode")


def test_what_the_workspace_made_is_taken_away_there_and_only_once(made: Desk) -> None:
    done(made, *APPLY)
    assert set(run_folders(clone(made))) == {"finetuningjob", "evaluationjob"}
    assert run_folders(made.root) == []
    stranger = clone(made) / ".studio" / "runs" / "other"
    stranger.mkdir()
    assert "Applied" in done(made, "destroy", "--yes")
    assert run_folders(clone(made)) == ["other"] and list((clone(made) / ".studio" / "beacons").iterdir()) == []
    assert done(made, "destroy", "--yes") and stranger.is_dir()


def test_a_destroy_names_what_runs_in_the_workspace_and_takes_nothing(made: Desk) -> None:
    done(made, *APPLY)
    made.cml.allow(0)
    done(made, *APPLY, "--replace", JOB, "--detach")
    said = done(made, "destroy", "--yes", code=1)
    assert JOB in said and "nothing was deleted" in said and f"studio cancel {JOB}" in said
    assert set(run_folders(clone(made))) == {"finetuningjob", "evaluationjob"}


@pytest.mark.parametrize(("first", "second"), [("default", "here"), ("here", "default")])
def test_an_adapter_that_a_server_keeps_is_promoted_between_workspace_and_machine(
    made: Desk, local: CountingBackend, first: str, second: str
) -> None:
    done(made, *APPLY, "--env", first)
    said = done(made, "plan", "--env", second)
    assert "2 to reuse" in said and JOB in said
    there, here = sum(made.performed.values()), len(local.submissions)
    done(made, *APPLY, "--env", second)
    assert (sum(made.performed.values()), len(local.submissions)) == (there, here), "nothing ran again"


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        ("default", "here", "is not on this disk, and is not kept on the MLflow server"),
        ("here", "default", "its adapter was made on the disk of another machine, is not in cml:"),
    ],
)
def test_an_adapter_that_nobody_keeps_is_trained_again_elsewhere_and_the_plan_says_why(
    made: Desk, local: CountingBackend, first: str, second: str, why: str
) -> None:
    without_a_server(made)
    done(made, *APPLY, "--env", first)
    said = done(made, "plan", "--env", second)
    assert why in said
    done(made, *APPLY, "--env", second)
    assert done(made, "plan", "--env", second, "--detailed-exitcode")


def test_a_result_that_is_none_fails_its_job_and_ends_no_apply(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = result_of
    monkeypatch.setattr("tests.workspace.desk.result_of", lambda spec: made(spec).model_copy(update={"output": None}))
    with desk(tmp_path, trainings(2)) as there:
        code, said = there.studio("apply", "--yes", "--offline")
    assert code == 1 and said.count("does not tell what such a job makes") >= 2, said
