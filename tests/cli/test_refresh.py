"""``plan --refresh`` and ``apply --refresh`` against a real MLflow: what drifted is planned, mended, and then is as
recorded again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from studio.backends import BACKENDS
from studio.workflow import places
from tests import projects
from tests.cli.front_door import Answer, ask
from tests.cli.test_drift import COMPARE, RELEASE, TRAIN, Desk, documents, everything
from tests.fakes.registering import RegisteringBackend

pytestmark = pytest.mark.slow  # a real MLflow


@pytest.fixture
def desk(tmp_path: Path, empty_tracking: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    root = projects.write(tmp_path / "desk", documents())
    (root / ".studio").mkdir()
    shutil.copyfile(empty_tracking, root / ".studio" / "mlflow.db")
    monkeypatch.setitem(BACKENDS, "local", lambda site: RegisteringBackend(site.root))
    monkeypatch.setattr(places, "pause", lambda _: None)
    answer = ask(root, "apply", "--yes")
    assert answer.code == 0, answer.out + answer.err
    yield Desk(root)


def actions(answer: Answer) -> dict[str, dict[str, Any]]:
    return {each["resource"]: each for each in json.loads(answer.out)["actions"] if each["action"] != "none"}


def test_an_edited_description_is_planned_as_drift_and_said_again(desk: Desk) -> None:
    desk.client.update_model_version("router", "1", "words of somebody else")
    desk.client.delete_model_version_tag("router", "1", "studio.key")
    assert ask(desk.root, "plan", "--detailed-exitcode").code == 0  # nobody looked
    before = everything(desk.root)
    answer = ask(desk.root, "plan", "--refresh", "--json")
    assert everything(desk.root) == before
    plan = json.loads(answer.out)
    assert plan["refreshed"] == "offline"
    [[name, action]] = actions(answer).items()
    assert name == RELEASE and action["action"] == "update" and action["revises"] and not action["fresh"]
    assert action["reason"].startswith("drift: the description of router version 1 was edited in the registry")
    change = next(each for each in action["changes"] if each["path"] == "version.description")
    assert (change["old"], change["new"]) == ("words of somebody else", "Routes tickets")
    answer = ask(desk.root, "apply", "--refresh")
    assert answer.code == 0 and "because drift: the description" in answer.out
    assert "a small job carries it out where it is; nothing is made again" in answer.out
    found = desk.client.get_model_version("router", "1")
    assert found.description == "Routes tickets" and "studio.key" in found.tags
    assert ask(desk.root, "plan", "--refresh", "--detailed-exitcode").code == 0


def test_what_is_lost_is_made_again_and_a_saved_plan_looks_again(desk: Desk) -> None:
    desk.client.delete_model_version("router", "1")
    trained = desk.root / desk.outcome(TRAIN)["output"]["adapter"]
    (trained / "adapter_model.safetensors").write_bytes(b"poison")
    desk.client.delete_run(desk.outcome(COMPARE)["mlflow_run_id"])
    file = desk.root.parent / "plan.json"
    answer = ask(desk.root, "plan", "--refresh", "--out", str(file))
    assert "1 difference that apply leaves alone (EvaluationJob/compare): see 'studio drift'" in answer.out
    saved = json.loads(file.read_text())
    found = {each["resource"]: each for each in saved["actions"] if each["action"] != "none"}
    assert {name: (each["action"], each["fresh"]) for name, each in found.items()} == {
        RELEASE: ("replace", True), TRAIN: ("replace", True),
    }  # fmt: skip
    answer = ask(desk.root, "apply", str(file))
    assert answer.code == 0, answer.out + answer.err
    assert (trained / "adapter_model.safetensors").read_bytes() == b""  # as the fake trains it
    assert desk.outcome(RELEASE)["output"]["model_version"] == "2"
    assert desk.client.get_model_version("router", "2").description == "Routes tickets"
    assert {name.partition(" ")[2] for name in desk.drifts()} == {"mlflow_run"}
    stale = ask(desk.root, "apply", str(file))
    assert stale.code == 4 and "stale" in stale.err


def test_a_version_whose_files_are_gone_is_exported_as_a_new_one_though_the_old_one_bears_its_key(desk: Desk) -> None:
    shutil.rmtree(desk.root / ".studio" / "mlartifacts" / "models")
    assert ask(desk.root, "apply", "--refresh").code == 0
    assert desk.outcome(RELEASE)["output"]["model_version"] == "2"
    assert desk.client.get_model_version("router", "1").version and desk.drifts() == {}


def test_a_project_that_was_moved_is_told_and_put_right_by_a_small_job(desk: Desk) -> None:
    moved = Desk(desk.root.rename(desk.root.parent / "moved"))
    [[name, found]] = moved.drifts().items()
    assert name == f"{RELEASE} version.files" and found["found"] == "moved" and found["remedy"] == "update"
    assert ask(moved.root, "apply", "--refresh").code == 0
    assert moved.drifts() == {}


def test_a_plan_that_was_saved_without_looking_is_not_applied_with_it(tmp_path: Path) -> None:
    root = projects.write(tmp_path / "desk", projects.data_resources())
    file = tmp_path / "plan.json"
    ask(root, "plan", "--out", str(file))
    answer = ask(root, "apply", str(file), "--refresh")
    assert answer.code == 64 and "saved without --refresh" in answer.err
    assert ask(root, "apply", str(file)).code == 0
    assert ask(root, "plan", "--refresh", "--detailed-exitcode").code == 0
