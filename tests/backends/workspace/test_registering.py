"""The workspace's model registry: what an export made is in it once, whatever happens to answers, and goes with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from studio.backends.base import JobState, JobStatus
from studio.backends.cml import CmlBackend
from studio.core.errors import BackendError
from studio.core.jobresult import ExportOutput, JobResult, Output, RemovalOutput
from studio.core.registered import Registered, Unregistering
from tests.backends.workspace.places import backend, prepared
from tests.fakes.cml_server import Workspace, workspace
from tests.fakes.workspace import faults
from tests.fakes.workspace.registry import logged, registered_model
from tests.fakes.workspace.traffic import asked_again_after_a_refusal

RUN = "0123456789abcdef"


@pytest.fixture
def cml(tmp_path: Path) -> Iterator[Workspace]:
    with prepared(tmp_path / "project") as found:
        yield found


def result(output: Output, run: str = RUN) -> JobStatus:
    made = JobResult(
        key="release-1", attempt=1, fingerprint="f" * 64, output=output, mlflow_run_id=run, mlflow_experiment_id="3",
        started_at="2026-01-01T00:00:00Z", finished_at="2026-01-01T00:00:01Z", seconds=1.0,
    )  # fmt: skip
    return JobStatus(JobState.SUCCEEDED, None, made)


def exported(run: str = RUN) -> JobStatus:
    output = ExportOutput(model_name="router", model_version="1", uri="models:/router/1", description="Routes tickets")
    return result(output, run)


def register(on: CmlBackend, run: str = RUN) -> tuple[Registered | None, str]:
    status = on.concluded(exported(run))
    assert status.state is JobState.SUCCEEDED and status.result
    output = status.result.output
    assert isinstance(output, ExportOutput) and output.remark == status.message
    return output.registered, output.remark


def unregister(on: CmlBackend, registered: Registered, *own: str) -> str:
    wanted = Unregistering(registered=registered, own_runs=own)
    gone = RemovalOutput(model_name="router", model_version="1", was_there=True, unregistering=wanted)
    status = on.concluded(result(gone))
    assert status.state is JobState.SUCCEEDED
    return status.message


def versions(cml: Workspace) -> list[dict[str, Any]]:
    return [version for model in cml.registered.values() for version in model["model_versions"]]


def test_an_export_is_registered_as_a_version_that_says_where_it_came_from(cml: Workspace) -> None:
    registered, remark = register(backend(cml))
    (model,), (version,) = cml.registered.values(), versions(cml)
    assert registered == Registered(
        model_id=model["model_id"], version="1", run_id=RUN, place=f"cml:{cml.url[7:]}/{cml.project_id}"
    )
    assert (model["name"], model["description"], model["visibility"]) == ("router", "Routes tickets", "PRIVATE")
    ids = version["model_version_metadata"]["mlflow_metadata"]
    assert (ids["experiment_id"], ids["run_id"], remark) == ("3", RUN, "")
    assert {"key": "studio.key", "value": "release-1"} in version["tags"]


@pytest.mark.parametrize("substring", [False, True])
def test_what_was_registered_before_is_found_and_not_registered_again(tmp_path: Path, substring: bool) -> None:
    with prepared(tmp_path / "project", substring=substring) as cml:
        cml.registered["other"] = registered_model("other", logged("3", RUN), name="router-two")
        first, again = register(backend(cml)), register(backend(cml))
        assert first == again and cml.count("create_registered_model") == 1
        assert first[0] and first[0].model_id != "other"


@pytest.mark.parametrize("fault", [faults.DROPPED_AFTER, faults.DROPPED, faults.BUSY, faults.UNAVAILABLE])
def test_a_lost_answer_makes_no_second_version(cml: Workspace, fault: faults.Fault) -> None:
    cml.faults.plan("create_registered_model", fault, fault)
    cml.faults.plan("list_registered_models", faults.UNAVAILABLE)
    registered, _ = register(backend(cml))
    assert registered and registered.version == "1" and len(versions(cml)) == 1


def test_a_version_is_found_among_pages_of_others(cml: Workspace) -> None:
    others = (logged("3", f"{number:032x}") for number in range(130))
    cml.registered["busy"] = registered_model("busy", *others, name="router")
    registered, _ = register(backend(cml))
    assert registered and (registered.model_id, registered.version) == ("busy", "131")
    assert register(backend(cml)) == (registered, "") and cml.count("create_registered_model") == 1


@pytest.mark.parametrize("seed", range(20))
def test_with_half_of_all_calls_failing_there_is_one_version_in_the_end(cml: Workspace, seed: int) -> None:
    cml.faults.at_random(0.5, seed)
    on, registered = backend(cml), None
    while registered is None:
        with suppress(BackendError):
            registered, _ = register(on)
    assert len(versions(cml)) == 1 and asked_again_after_a_refusal(cml.calls) == []


@pytest.mark.parametrize("status", [404, 501])
def test_a_workspace_without_a_registry_is_a_remark(status: int) -> None:
    with workspace(None, no_registry=status) as cml:
        cml.importable()
        assert register(backend(cml)) == (None, "not registered in the workspace: it has no model registry")
        assert len(cml.calls) == 1


def test_what_the_registry_refuses_is_a_remark_with_a_cure_and_jobs_go_on(cml: Workspace) -> None:
    cml.faults.plan("create_registered_model", faults.FORBIDDEN)
    on = backend(cml)
    registered, remark = register(on)
    assert registered is None and "not registered in the workspace" in remark and "MLFLOW_TRACKING_URI" in remark
    assert asked_again_after_a_refusal(cml.calls) == []
    assert on.attempts("key-1") == 0, "the key is good for jobs"


def test_a_workspace_that_does_not_answer_is_asked_again_later(cml: Workspace) -> None:
    cml.faults.always("list_registered_models", faults.UNAVAILABLE)
    with pytest.raises(BackendError):
        register(backend(cml))
    cml.faults.clear()
    assert register(backend(cml))[0]


def test_a_model_with_no_version_of_others_is_deleted_once(cml: Workspace) -> None:
    registered, _ = register(backend(cml))
    assert registered
    cml.faults.plan("delete_registered_model", faults.DROPPED_AFTER)
    assert unregister(backend(cml), registered, RUN) == "" and cml.registered == {}
    assert unregister(backend(cml), registered, RUN) == ""


def test_a_model_with_versions_of_others_stays_and_that_is_said(cml: Workspace) -> None:
    registered, _ = register(backend(cml))
    register(backend(cml), "f" * 32)
    assert registered
    words = unregister(backend(cml), registered, RUN)
    assert "stays: the registry deletes whole models only, and 1 of its versions" in words and len(versions(cml)) == 2
    assert unregister(backend(cml), registered, RUN, "f" * 32) == "" and cml.registered == {}


def test_what_failed_or_is_something_else_is_left_as_it_is(cml: Workspace) -> None:
    for status in (JobStatus(JobState.RUNNING), JobStatus(JobState.FAILED, None, exported().result)):
        assert backend(cml).concluded(status) is status
    assert cml.calls == []
