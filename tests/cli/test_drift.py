"""``studio drift`` against a real MLflow on a project that was applied: each thing that somebody does is told, and
nothing is changed by looking."""

from __future__ import annotations

import json
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from studio.backends import BACKENDS
from studio.workflow import places
from tests import projects
from tests.cli.front_door import Answer, ask, environment, run
from tests.fakes.backend import CountingBackend
from tests.fakes.registering import RegisteringBackend
from tests.projects import snapshot, support_desk, with_spec

pytestmark = pytest.mark.slow  # a real MLflow
SCHEMA = json.loads((projects.ROOT / "schemas" / "drift.schema.json").read_text("utf-8"))
NO_SOCKETS = """
import os, sys
sys.addaudithook(lambda event, _: event == "socket.connect" and os._exit(9))
"""
TRAIN, COMPARE, RELEASE = "FineTuningJob/train", "EvaluationJob/compare", "ModelExport/release"


def documents() -> list[projects.Document]:
    return with_spec(support_desk(), "ModelExport", model_description="Routes tickets")


@dataclass
class Desk:
    """An applied project."""

    root: Path

    @property
    def database(self) -> Path:
        return self.root / ".studio" / "mlflow.db"

    @property
    def client(self) -> Any:
        from mlflow.tracking import MlflowClient

        uri = f"sqlite:///{self.database}"
        return MlflowClient(uri, uri)

    def outcome(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(ask(self.root, "show", name, "--json").out)["record"]["outcome"]
        return found

    def ask(self, *arguments: str) -> Answer:
        return ask(self.root, "drift", *arguments)

    def drifts(self) -> dict[str, dict[str, Any]]:
        """Path of each difference that counts, after its resource."""
        told = json.loads(self.ask("--json").out)["drifts"]
        return {f"{each['resource']} {each['path']}": each for each in told if each["ignored"] is None}


def everything(root: Path) -> dict[str, tuple[int, bytes]]:
    """Every file and folder, but for the shared memory in which SQLite counts its readers."""
    files = {name: held for name, held in snapshot(root).items() if not name.endswith("-shm")}
    return files | {str(path): (0, b"") for path in root.rglob("*") if path.is_dir()}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, empty_tracking: Path) -> Path:
    """A project that was applied once for all tests of this module, in a process of its own: none of its databases is
    open here."""
    root = projects.write(tmp_path_factory.mktemp("applied") / "desk", documents())
    (root / ".studio").mkdir()
    shutil.copyfile(empty_tracking, root / ".studio" / "mlflow.db")
    code = f"from pathlib import Path; from tests.fakes.registering import apply; apply(Path({str(root)!r}))"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=projects.ROOT, env=environment())
    return root


@pytest.fixture
def desk(template: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """That project, used by one test after the other: each gets it as it was applied, at the same place."""
    before = template.with_name("before")
    shutil.rmtree(before, ignore_errors=True)
    shutil.copytree(template, before)
    monkeypatch.setitem(BACKENDS, "local", lambda site: RegisteringBackend(site.root))
    monkeypatch.setattr(places, "pause", lambda _: None)
    yield Desk(template)
    for path in (path for path in template.rglob("*") if path.is_file()):
        if not path.match("state.db-*") and not (before / path.relative_to(template)).exists():
            path.unlink()
    shutil.copytree(before, template, dirs_exist_ok=True)  # into the same files: this process has the databases open


def test_right_after_apply_there_is_no_drift_and_looking_changes_no_byte(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything(desk.root)
    hermit = tmp_path / "sitecustomize.py"
    hermit.write_text(NO_SOCKETS)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{projects.ROOT}")
    done = run(desk.root, "drift", "--detailed-exitcode", PYTHONPATH=f"{tmp_path}:{projects.ROOT}")
    assert (done.code, done.err) == (0, ""), done.out
    assert done.out.startswith("No drift: ")
    assert everything(desk.root) == before


def test_everything_that_is_edited_is_told_with_what_apply_would_do_about_it(desk: Desk) -> None:
    desk.client.update_model_version("router", "1", "words of somebody else")
    desk.client.delete_model_version_tag("router", "1", "studio.key")
    desk.client.delete_run(desk.outcome(COMPARE)["mlflow_run_id"])
    (desk.root / desk.outcome(TRAIN)["output"]["adapter"] / "adapter_model.safetensors").write_bytes(b"poison")
    (desk.root / "data" / "tickets.csv").write_text("text,queue\nother,loan\n")
    shutil.rmtree(desk.root / "models" / "tiny")
    found = desk.drifts()
    assert {name: each["remedy"] for name, each in found.items()} == {
        "Dataset/tickets content": "update",
        "Model/tiny content": "nothing",
        f"{COMPARE} mlflow_run": "nothing",
        f"{RELEASE} version.description": "update",
        f"{RELEASE} version.tags": "update",
        f"{TRAIN} adapter": "replace",
    }
    description, run = found[f"{RELEASE} version.description"], found[f"{COMPARE} mlflow_run"]
    assert (description["recorded"], description["found"]) == ("Routes tickets", "words of somebody else")
    assert (run["recorded"], run["found"]) == ("there", "deleted")
    assert found["Model/tiny content"]["found"] is None
    assert len(found[f"{TRAIN} adapter"]["found"]) == 64


def test_what_is_gone_would_be_replaced_and_what_may_differ_counts_for_nothing(desk: Desk) -> None:
    desk.client.set_registered_model_alias("router", "champion", "1")
    desk.client.set_model_version_tag("router", "1", "reviewed", "yes")
    shutil.rmtree(desk.root / ".studio" / "mlartifacts" / "models")
    shutil.rmtree(desk.root / desk.outcome(TRAIN)["output"]["adapter"])
    output = desk.outcome(COMPARE)["output"]
    (desk.root / output["chart"]).unlink()
    (desk.root / output["combinations"][1]["predictions"]).unlink()
    answer = desk.ask("--json", "--detailed-exitcode")
    told = json.loads(answer.out)
    jsonschema.validate(told, SCHEMA)
    assert answer.code == 2 and told["drifted"] and told["environment"] == "default"
    counted = {(each["resource"], each["path"], each["remedy"]) for each in told["drifts"] if not each["ignored"]}
    assert counted == {(RELEASE, "version.files", "replace"), (TRAIN, "adapter", "replace")}
    ignored = {each["path"] for each in told["drifts"] if each["ignored"]}
    assert ignored == {"version.aliases", "version.other_tags", "chart", "combinations[1].predictions"}


def test_a_version_that_was_deleted_is_one_difference_and_without_a_manifest_it_is_left_alone(desk: Desk) -> None:
    desk.client.delete_model_version("router", "1")
    answer = desk.ask("--ignored")
    assert answer.code == 0 and "Drift: 1 difference in 1 resource" in answer.out
    assert "version: router version 1 is not in the registry any more" in answer.out
    assert "recorded there, found nothing; apply --refresh replaces it" in answer.out
    assert "  version.aliases: aliases promote a version" in answer.out
    projects.write(desk.root, projects.data_resources())
    [[_, found]] = desk.drifts().items()
    assert found["remedy"] == "nothing" and "no manifest declares it" in found["reason"]


def test_a_server_that_does_not_answer_is_a_warning_and_nothing_is_gone(desk: Desk) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{unused.getsockname()[1]}"
    settings = f"{projects.SETTINGS}spec: {{mlflow: {{tracking_uri: '{uri}'}}}}\n"
    (desk.root / "studio.yaml").write_text(settings)
    answer = desk.ask("--detailed-exitcode")
    assert answer.code == 0 and f"warning: MLflow at {uri} could not be looked at" in answer.err
    assert "warning: ModelExport/release could not be looked at: exported to another registry" in answer.err


def test_a_secret_address_is_not_repeated(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    tracking = "spec: {mlflow: {tracking_uri: {env: STUDIO_MLFLOW_TEST}}}\n"
    (desk.root / "studio.yaml").write_text(f"{projects.SETTINGS}{tracking}")
    monkeypatch.setenv("STUDIO_MLFLOW_TEST", "http://ci:word-of-secrecy@127.0.0.1:9")
    answer = desk.ask()
    assert "MLflow at the address in STUDIO_MLFLOW_TEST" in answer.err
    assert "word-of-secrecy" not in answer.err + answer.out and "127.0.0.1" not in answer.err + answer.out


def test_a_database_of_another_version_of_mlflow_is_left_as_it_is(desk: Desk) -> None:
    with sqlite3.connect(desk.database) as opened:
        opened.execute("DROP TABLE model_versions")
    opened.close()
    before = everything(desk.root)
    answer = desk.ask()
    assert "made by an older version of MLflow" in answer.err and answer.out.startswith("No drift")
    assert everything(desk.root) == before


def test_a_database_that_is_gone_is_not_made_anew_and_its_versions_are_gone(desk: Desk) -> None:
    aside = desk.database.rename(desk.root.parent / "aside.db")
    found = desk.drifts()
    assert found[f"{RELEASE} version"]["remedy"] == "replace"
    assert found[f"{TRAIN} mlflow_run"]["remedy"] == "nothing"
    assert not desk.database.exists()
    aside.rename(desk.database)


def test_a_project_that_was_never_applied_has_no_drift(tmp_path: Path) -> None:
    root = projects.write(tmp_path, support_desk())
    answer = ask(root, "drift")
    assert (answer.code, answer.out) == (0, "No drift: 0 recorded facts looked at.\n")
    assert not (root / ".studio").exists()


def test_jobs_that_ended_or_vanished_while_nobody_waited_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = projects.write(tmp_path / "desk", [each for each in support_desk() if each["kind"] != "ModelExport"])
    backend = CountingBackend(root, polls=1000)
    monkeypatch.setitem(BACKENDS, "local", lambda site: backend)
    monkeypatch.setattr(places, "pause", lambda _: None)
    assert ask(root, "apply", "--yes", "--detach", "--offline").code == 0
    desk = Desk(root)
    assert desk.drifts() == {}  # it runs
    backend.polls = 0
    [[name, found]] = desk.drifts().items()
    assert name == f"{TRAIN} run" and (found["found"], found["remedy"]) == ("succeeded", "update")
    assert "ended while nobody waited" in found["reason"] and "; apply updates it" in desk.ask().out
    backend.submissions.clear()
    [[name, found]] = desk.drifts().items()
    assert found["found"] is None and found["remedy"] == "replace"
    before = everything(root)
    assert "is not known where it ran; apply submits it again" in desk.ask().out and everything(root) == before


def test_manifests_with_errors_are_no_reason_not_to_look(tmp_path: Path) -> None:
    root = projects.write(tmp_path / "desk", projects.data_resources())
    assert ask(root, "apply", "--yes", "--offline").code == 0
    (root / "data" / "tickets.csv").unlink()
    (root / "manifests" / "all.yaml").write_text("kind: [Dataset, tickets, tiny")
    assert ask(root, "plan").code == 1
    answer = ask(root, "drift", "--detailed-exitcode")
    assert answer.code == 2 and "data/tickets.csv is gone; apply refuses until it is back" in answer.out
    assert "no manifest" not in answer.out  # it may be in what cannot be read
    (root / "studio.yaml").write_text("kind: Nothing\n")
    answer = ask(root, "drift")
    assert answer.code == 1 and "studio.yaml has errors" in answer.err
