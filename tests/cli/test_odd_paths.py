"""Paths that name no file, or something that is none: refused at once, and nothing is waited for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests import projects

from .front_door import ask


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return projects.write(tmp_path / "desk", projects.data_resources())


@pytest.mark.parametrize(
    "arguments",
    [("plan", "--out", ""), ("state", "export", "--out", ""), ("validate", "--output", ""), ("plan", "-C", "")],
)
def test_an_empty_path_is_a_usage_error(root: Path, arguments: tuple[str, ...]) -> None:
    answer = ask(root, *arguments)
    assert answer.code == 64 and ("names no file" in answer.err or "does not exist" in answer.err)


def test_a_pipe_in_place_of_a_saved_plan_is_not_waited_for(root: Path) -> None:
    os.mkfifo(root / "plan.json")
    answer = ask(root, "apply", "plan.json")
    assert answer.code == 64 and "plan.json is no regular file" in answer.err


def test_a_pipe_in_place_of_a_data_set_is_called_no_regular_file(root: Path) -> None:
    (root / "data" / "tickets.csv").unlink()
    os.mkfifo(root / "data" / "tickets.csv")
    answer = ask(root, "validate")
    assert answer.code == 1 and "'data/tickets.csv' is no regular file" in answer.out


def test_an_empty_path_formats_nothing(root: Path) -> None:
    manifests = root / "manifests" / "all.yaml"
    manifests.write_text(manifests.read_text() + "   \n\n\n")
    before = manifests.read_text()
    for arguments in (("fmt", ""), ("fmt", "manifests", "")):
        answer = ask(root, *arguments)
        assert answer.code == 64 and "a path is empty" in answer.err
    assert manifests.read_text() == before
