"""Opening the database: the schema is that of the migrations, and what cannot be opened is said clearly."""

from __future__ import annotations

from pathlib import Path

import pytest

import studio.state.engine as database
from studio.core.errors import StudioError
from studio.state.sql import open_engine, open_reader

URL = "sqlite:///state.db"


def test_a_fresh_state_has_the_schema_and_opening_it_again_changes_nothing(tmp_path: Path) -> None:
    open_engine(URL, tmp_path).dispose()
    before = (tmp_path / "state.db").read_bytes()
    engine = open_engine(URL, tmp_path)
    assert database.revision(engine) == database.HEAD
    engine.dispose()
    assert (tmp_path / "state.db").read_bytes() == before


@pytest.mark.parametrize(
    ("url", "words", "hint"),
    [
        ("nonsense", "is not valid", "write sqlite:///path"),
        ("", "is not valid", "write sqlite:///path"),
        ("sqlite://", "in memory is lost", "write sqlite:///.studio"),
        ("sqlite:///:memory:", "in memory is lost", "write sqlite:///.studio"),
        ("oracle9://db", "the state cannot be kept in 'oracle9'", "write sqlite:///path"),
    ],
)
def test_a_state_url_that_no_database_understands_is_refused(tmp_path: Path, url: str, words: str, hint: str) -> None:
    for attempt in (lambda: open_reader(url, tmp_path, "default"), lambda: open_engine(url, tmp_path)):
        with pytest.raises(StudioError) as error:
            attempt()
        assert words in error.value.message and hint in error.value.hint


def test_a_refused_url_does_not_show_its_password(tmp_path: Path) -> None:
    with pytest.raises(StudioError) as error:
        open_reader("postgresql://me:hunter2@host:port/db", tmp_path, "default")
    assert "hunter2" not in error.value.message + error.value.hint


@pytest.mark.parametrize(
    "content", [b"not a database, but long enough to look at" * 50, b"SQLite format 3\x00" + b"\xff" * 200]
)
def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state.db").write_bytes(content)
    with pytest.raises(StudioError, match="file is not a database"):
        open_reader(URL, tmp_path, "default")
    assert (tmp_path / "state.db").read_bytes() == content


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:///.studio/state.db", "/root/.studio/state.db"),
        ("sqlite:////elsewhere/state.db", "/elsewhere/state.db"),
    ],
)
def test_a_relative_sqlite_path_is_taken_from_the_project(url: str, expected: str | None) -> None:
    assert database.locate(url, Path("/root")).database == expected
