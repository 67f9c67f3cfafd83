"""Which commit is applied, and by whom."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from studio.load.commit import actor, commit


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    (tmp_path / "a").write_text("1")
    for command in (["init", "-q"], ["add", "a"], [*identity, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    return tmp_path


def test_a_clean_checkout_is_named_by_its_commit(repository: Path) -> None:
    found = commit(repository, {})
    assert len(found) == 40 and int(found, 16)


def test_a_changed_checkout_is_called_dirty(repository: Path) -> None:
    clean = commit(repository, {})
    (repository / "a").write_text("2")
    assert commit(repository, {}) == f"{clean}-dirty"


def test_the_ci_s_commit_counts_before_gits(repository: Path) -> None:
    assert commit(repository, {"GITHUB_SHA": "abc"}) == "abc"


def test_outside_a_repository_there_is_no_commit(tmp_path: Path) -> None:
    assert commit(tmp_path, {}) == ""


def test_the_actor_is_the_cis_else_the_login_name() -> None:
    assert actor({"GITHUB_ACTOR": "robot"}) == "robot"
    assert actor({})
