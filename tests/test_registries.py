"""Exports and the registries they go to: another registry exports again, the same registry is shared."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.backends import BACKENDS
from studio.plan import saved as saved_plan
from studio.plan.actions import Plan, to_json
from studio.workflow import applying, places, planning
from tests import projects
from tests.fakes.backend import CountingBackend
from tests.projects import support_desk, verbs
from tests.test_apply import Notes

SECRET = "https://ci:word-of-secrecy@ml.example.org/"
SETTINGS = """apiVersion: studio/v1
kind: Project
metadata: {name: desk}
spec:
  environments:
    prod: {mlflow: {tracking_uri: "https://ml.example.org"}}
    secret: {mlflow: {tracking_uri: {env: STUDIO_MLFLOW_TEST}}}
    elsewhere: {mlflow: {tracking_uri: "https://elsewhere.example.org"}}
    same: {mlflow: {tracking_uri: "sqlite:///.studio/../.studio/mlflow.db"}}
"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    root = projects.write(tmp_path / "desk", support_desk(), SETTINGS)
    backend = CountingBackend(root)
    monkeypatch.setitem(BACKENDS, "local", lambda site: backend)
    monkeypatch.setattr(places, "pause", lambda _: None)
    monkeypatch.delenv("STUDIO_MLFLOW_TEST", raising=False)
    yield root


def plan(root: Path, environment: str) -> Plan:
    planned = planning.plan(root, environment)
    assert isinstance(planned, planning.Planned), planned.findings
    return planned.plan


def apply(root: Path, environment: str) -> None:
    planned = planning.plan(root, environment)
    assert isinstance(planned, planning.Planned), planned.findings
    assert applying.apply(planned, Notes(), 4).failed == []
    assert plan(root, environment).pending == ()


def test_an_export_to_another_registry_runs_again_while_adapter_and_evaluation_are_reused(desk: Path) -> None:
    apply(desk, "default")
    found = verbs(plan(desk, "prod"))
    assert (found["FineTuningJob/train"], found["EvaluationJob/compare"]) == ("reuse", "reuse")
    assert found["ModelExport/release"] == "create"
    apply(desk, "prod")
    assert verbs(plan(desk, "elsewhere"))["ModelExport/release"] == "create"


def test_the_same_registry_under_another_address_is_shared(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apply(desk, "default")
    assert verbs(plan(desk, "same"))["ModelExport/release"] == "reuse"
    apply(desk, "prod")
    monkeypatch.setenv("STUDIO_MLFLOW_TEST", SECRET)
    assert verbs(plan(desk, "secret"))["ModelExport/release"] == "reuse"


def test_the_address_is_in_no_plan_and_in_no_record(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_MLFLOW_TEST", SECRET)
    apply(desk, "secret")
    made = planning.plan(desk, "secret")
    assert isinstance(made, planning.Planned)
    (desk / "studio.yaml").write_text(SETTINGS.replace("env: STUDIO_MLFLOW_TEST", "env: STUDIO_MLFLOW_OTHER"))
    monkeypatch.setenv("STUDIO_MLFLOW_OTHER", "https://other.example.org")
    moved = plan(desk, "secret")
    [action] = moved.pending
    assert (str(action.ref), action.verb.value, action.reason) == ("ModelExport/release", "replace", "registry changed")
    assert [(change.path, change.old, change.new) for change in action.changes] == [("registry", None, None)]
    kept = json.dumps([record.inputs for record in made.state.records().values()])
    for text in (saved_plan.text(moved), json.dumps(to_json(made.plan)), kept):
        assert "word-of-secrecy" not in text and "example.org" not in text


def test_a_plan_without_the_secret_takes_the_registry_to_be_the_recorded_one(
    desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert verbs(plan(desk, "secret"))["ModelExport/release"] == "create"
    monkeypatch.setenv("STUDIO_MLFLOW_TEST", SECRET)
    apply(desk, "secret")
    monkeypatch.delenv("STUDIO_MLFLOW_TEST")
    assert plan(desk, "secret").pending == ()


def test_a_new_password_exports_nothing_again(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_MLFLOW_TEST", SECRET)
    apply(desk, "secret")
    monkeypatch.setenv("STUDIO_MLFLOW_TEST", SECRET.replace("word-of-secrecy", "another-word"))
    assert plan(desk, "secret").pending == ()
