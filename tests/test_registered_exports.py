"""Exports in a workspace's model registry, from apply to drift and destroy, by the commands that users type."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from studio.backends import BACKENDS
from studio.backends.base import JobState, JobStatus
from studio.backends.cml import CmlBackend
from studio.core.jobspec import JobSpec
from studio.workflow import places
from tests import projects
from tests.backends.workspace.places import backend as workspace_backend
from tests.cli.front_door import Answer, ask
from tests.fakes.backend import CountingBackend, result_of
from tests.fakes.cml_server import Workspace, workspace
from tests.fakes.workspace import faults
from tests.fakes.workspace.registry import logged, version
from tests.projects import support_desk, with_spec


@dataclass
class Registering(CountingBackend):
    """Runs nothing, but lets the workspace's backend conclude what has ended."""

    workspace: CmlBackend | None = None

    def succeed(self, spec: JobSpec) -> JobStatus:
        ids = {"mlflow_run_id": f"run-of-{spec.key}", "mlflow_experiment_id": "3"}
        return JobStatus(JobState.SUCCEEDED, result=result_of(spec, self.metrics).model_copy(update=ids))

    def concluded(self, status: JobStatus) -> JobStatus:
        assert self.workspace
        return self.workspace.concluded(status)


@pytest.fixture
def cml(monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    with workspace() as running:
        running.importable()
        for name, value in running.environ().items():
            monkeypatch.setenv(name, value)
        yield running


@pytest.fixture
def root(tmp_path: Path, cml: Workspace, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = projects.write(tmp_path / "desk", support_desk())
    there = workspace_backend(cml)
    made = Registering(folder, workspace=there, name=there.name)
    monkeypatch.setitem(BACKENDS, "local", lambda site: made)
    monkeypatch.setattr(places, "pause", lambda _: None)
    return folder


def apply(root: Path, *options: str) -> Answer:
    answer = ask(root, "apply", "--yes", *options)
    assert answer.code == 0, answer.out + answer.err
    return answer


def registered(root: Path) -> dict[str, Any]:
    record = json.loads(ask(root, "state", "show", "ModelExport/release").out)
    found: dict[str, Any] = record["outcome"]["output"]["registered"]
    return found


def test_what_apply_exports_is_registered_recorded_and_gone_after_destroy(root: Path, cml: Workspace) -> None:
    apply(root)
    (model,) = cml.registered.values()
    assert registered(root)["model_id"] == model["model_id"] and registered(root)["version"] == "1"
    assert "Nothing to do" in ask(root, "plan").out
    gone = ask(root, "destroy", "--yes")
    assert gone.code == 0 and cml.registered == {}, gone.out + gone.err


def test_a_registered_model_with_a_version_of_somebody_else_stays_and_destroy_says_so(
    root: Path, cml: Workspace
) -> None:
    apply(root)
    (model,) = cml.registered.values()
    model["model_versions"].append(version(model["model_id"], 2, **logged("9", "theirs")))
    gone = ask(root, "destroy", "--yes")
    assert gone.code == 0 and len(cml.registered) == 1
    assert "✓ ModelExport/release: deleted — version 1 of the registered model" in gone.out
    assert "1 of its versions are others'" in gone.out


@pytest.mark.slow
def test_drift_tells_of_a_version_that_left_the_registry_and_refresh_exports_again(root: Path, cml: Workspace) -> None:
    apply(root)
    assert "registered model" not in ask(root, "drift", "--online").out
    cml.registered.clear()
    told = ask(root, "drift", "--online").out
    assert "is not in the workspace's registry any more" in told
    assert "ModelExport/release" in ask(root, "plan", "--refresh", "--online").out
    assert "workspace's registry" not in ask(root, "drift").out


def test_without_a_registry_the_export_is_done_with_a_remark(root: Path, cml: Workspace) -> None:
    cml.faults.always("list_registered_models", faults.NOT_FOUND)
    answer = apply(root)
    assert "✓ ModelExport/release: done — not registered in the workspace: it has no model registry" in answer.out
    assert "Nothing to do" in ask(root, "plan").out


def test_another_export_of_the_model_adds_a_version_and_all_of_them_go_with_it(root: Path, cml: Workspace) -> None:
    apply(root)
    (root / "manifests" / "all.yaml").write_text(
        projects.stream(with_spec(support_desk(), "ModelExport", task="llm/v1/completions"))
    )
    apply(root)
    (model,) = cml.registered.values()
    assert (model["count"], registered(root)["version"]) == (2, "2")
    assert ask(root, "destroy", "--yes").code == 0 and cml.registered == {}
