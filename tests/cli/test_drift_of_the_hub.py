"""Drift of what is on the hub: the commit that a revision points to, when it is asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import projects
from tests.cli.front_door import ask
from tests.fakes.hub import COMMIT, FakeHub, Repo, serving
from tests.projects import manifest

MOVED = "0" * 39 + "1"
PINNED = "a" * 40


def documents() -> list[projects.Document]:
    named = {"type": "huggingface", "huggingface_name": "team/tickets", "revision": "main", "features": ["text"]}
    model = {"type": "huggingface", "huggingface_model_name": "team/tiny", "revision": PINNED}
    return [manifest("Dataset", "tickets", named), manifest("Model", "tiny", model)]


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    repos = {("datasets", "team/tickets"): Repo(), ("models", "team/tiny"): Repo(sha=PINNED, revisions=(PINNED,))}
    with serving(repos) as fake:
        monkeypatch.setenv("HF_ENDPOINT", fake.url)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)  # the jobs' tests are offline
        yield fake


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    return projects.write(tmp_path / "desk", documents())


def drifts(desk: Path, *arguments: str) -> dict[str, dict[str, Any]]:
    told = json.loads(ask(desk, "drift", "--json", *arguments).out)
    return {each["resource"]: each for each in told["drifts"]}


def test_a_branch_that_moved_is_told_only_when_the_hub_is_asked(desk: Path, online: FakeHub) -> None:
    assert ask(desk, "apply").code == 0
    assert drifts(desk, "--online") == {}
    online.repos["datasets", "team/tickets"] = Repo(sha=MOVED)
    asked = len(online.requests)
    assert drifts(desk) == {} and len(online.requests) == asked
    [[name, found]] = drifts(desk, "--online").items()
    assert (name, found["path"], found["recorded"], found["found"]) == ("Dataset/tickets", "commit", COMMIT, MOVED)
    assert found["remedy"] == "update" and "team/tickets at main is another commit now" in found["reason"]


def test_a_commit_outlives_an_apply_that_does_not_ask(desk: Path, online: FakeHub) -> None:
    ask(desk, "apply")
    projects.write(desk, [{**each, "metadata": {**each["metadata"], "title": "words"}} for each in documents()])
    assert ask(desk, "apply", "--offline").code == 0
    assert drifts(desk, "--online") == {}


def test_what_was_applied_offline_has_no_commit_to_compare_with_but_a_pinned_one_has(
    desk: Path, online: FakeHub
) -> None:
    assert ask(desk, "apply", "--offline").code == 0
    [[name, found]] = drifts(desk, "--online").items()
    assert name == "Dataset/tickets" and found["recorded"] is None and "never recorded" in found["reason"]


def test_what_is_gone_from_the_hub_is_told_and_what_is_refused_is_not_called_gone(
    desk: Path, online: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(desk, "apply")
    del online.repos["models", "team/tiny"]
    online.repos["datasets", "team/tickets"] = Repo(gated=True)
    answer = ask(desk, "drift", "--online", "--detailed-exitcode")
    assert answer.code == 2 and "Model/tiny" in answer.out and "not on the hub any more" in answer.out
    assert "Dataset/tickets could not be looked at: the hub wants a token" in answer.err
    assert "Dataset/tickets" not in answer.out
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    answer = ask(desk, "drift", "--online", "--detailed-exitcode")
    assert answer.code == 0 and answer.err.count("the hub gave no answer") == 2


def test_a_commit_that_moved_is_recorded_by_a_refresh_and_a_saved_plan_says_whether_the_hub_was_asked(
    desk: Path, online: FakeHub, tmp_path: Path
) -> None:
    ask(desk, "apply")
    online.repos["datasets", "team/tickets"] = Repo(sha=MOVED)
    assert ask(desk, "plan", "--refresh", "--detailed-exitcode").code == 0  # the hub was not asked
    file = tmp_path / "plan.json"
    answer = ask(desk, "plan", "--refresh", "--online", "--out", str(file), "--detailed-exitcode")
    assert answer.code == 2 and "because drift: team/tickets at main is another commit now" in answer.out
    refused = ask(desk, "apply", str(file), "--offline")
    assert refused.code == 64 and "saved with --refresh --online" in refused.err
    file.write_text(file.read_text().replace('"refreshed": "online"', '"refreshed": "banana"'))
    assert "the plan is damaged" in ask(desk, "apply", str(file)).err
    file.write_text(file.read_text().replace('"refreshed": "banana"', '"refreshed": "online"'))
    assert ask(desk, "apply", str(file)).code == 0
    assert drifts(desk, "--online") == {}
