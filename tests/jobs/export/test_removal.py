"""Removal: a registered version goes, once, and only when it is the export's and nobody serves it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from studio.core.jobresult import RemovalOutput
from studio.core.jobspec import JobSpec, Tracking

from ..workbench import failure, perform

KEY = "modelexport-release-0123456789abcdef"


@pytest.fixture
def project(tmp_path: Path, empty_tracking: Path) -> Path:
    (tmp_path / ".studio").mkdir()
    (tmp_path / ".studio" / "mlflow.db").write_bytes(empty_tracking.read_bytes())
    return tmp_path


def client(project: Path) -> Any:
    from mlflow.tracking import MlflowClient

    uri = f"sqlite:///{project}/.studio/mlflow.db"
    return MlflowClient(uri, uri)


def register(project: Path, *keys: str) -> Any:
    """A registered model with a version for each key."""
    registry = client(project)
    registry.create_registered_model("router")
    for key in keys:
        registry.create_model_version("router", f"file://{project}/model", tags={"studio.key": key})
    return registry


def versions(project: Path) -> list[str]:
    return sorted(str(each.version) for each in client(project).search_model_versions("name = 'router'"))


def removal(project: Path, version: str = "2") -> JobSpec:
    return JobSpec(
        key=f"remove-{KEY}", kind="ModelExport", name="release", fingerprint="0" * 64, environment="default",
        project_dir=str(project), run_dir=".studio/runs/remove",
        work={"task": "removal", "model_name": "router", "model_version": version, "made_by": KEY},
        tracking=Tracking(tracking_uri="sqlite:///.studio/mlflow.db", experiment="desk"),
    )  # fmt: skip


def test_the_version_is_deleted_once_and_its_neighbours_stay(project: Path) -> None:
    register(project, "another", KEY, "another")
    first, second = perform(removal(project)).output, perform(removal(project)).output
    assert isinstance(first, RemovalOutput) and isinstance(second, RemovalOutput)
    assert first.was_there and not second.was_there and versions(project) == ["1", "3"]


def test_a_model_that_is_not_there_at_all_is_gone(project: Path) -> None:
    output = perform(removal(project)).output
    assert isinstance(output, RemovalOutput) and not output.was_there


def test_a_version_that_another_job_registered_is_left_alone(project: Path) -> None:
    register(project, "another", "another")
    assert failure(removal(project)).startswith("router version 2 was not registered by this export\n")
    assert versions(project) == ["1", "2"]


def test_a_version_that_an_alias_points_at_is_left_alone(project: Path) -> None:
    registry = register(project, "another", KEY)
    registry.set_registered_model_alias("router", "champion", "2")
    found = failure(removal(project))
    assert found.startswith("router version 2 has the alias champion\n") and "--forget" in found
    registry.set_registered_model_alias("router", "champion", "1")
    assert perform(removal(project)).failure is None and versions(project) == ["1"]


def test_a_registry_that_cannot_be_reached_is_said(project: Path) -> None:
    spec = removal(project).model_copy(
        update={"tracking": Tracking(tracking_uri="env:NO_SUCH_VARIABLE", experiment="desk")}
    )
    assert "NO_SUCH_VARIABLE" in failure(spec)
