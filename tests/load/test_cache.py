"""What later runs find in the user's cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.load import cache
from tests.test_planted_secrets import token


def place(tmp_path: Path) -> cache.Place:
    found = cache.place("things", tmp_path / "project", {"XDG_CACHE_HOME": str(tmp_path / "cache")}, 1)
    assert found is not None
    return found


def test_what_was_written_is_read(tmp_path: Path) -> None:
    place(tmp_path).write({"words": ["a token is a piece of a word"]})
    content = place(tmp_path).read()
    assert content is not None and content["words"] == ["a token is a piece of a word"]


@pytest.mark.parametrize("secret", [token("cache"), "postgresql://user:swordfish@host/db"])
def test_what_looks_like_a_secret_is_not_kept(tmp_path: Path, secret: str) -> None:
    place(tmp_path).write({"words": [f"remove {secret}"]})
    assert not list((tmp_path / "cache").rglob("*.json"))


def test_another_group_is_another_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = place(tmp_path).question
    monkeypatch.setattr(cache.os, "getgroups", lambda: [4711])
    assert place(tmp_path).question != before
