"""Opening the database: the schema is that of the migrations, and what cannot be opened is said clearly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text

import studio.state.engine as database
from studio.core.errors import StudioError
from studio.state import schema
from studio.state.sql import SqlState, open_engine, open_reader
from tests.projects import ROOT

URL = "sqlite:///state.db"


def test_the_migrations_make_exactly_the_tables_of_the_schema(tmp_path: Path) -> None:
    engine = open_engine(URL, tmp_path)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, schema.metadata) == []
    assert set(inspect(engine).get_table_names()) == {*schema.metadata.tables, "alembic_version"}
    engine.dispose()


def test_head_is_the_last_migration_and_there_is_one_line_of_them() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).with_name("migrations")))
    assert ScriptDirectory.from_config(config).get_heads() == [database.HEAD]


def test_a_fresh_state_has_the_schema_and_opening_it_again_changes_nothing(tmp_path: Path) -> None:
    open_engine(URL, tmp_path).dispose()
    before = (tmp_path / "state.db").read_bytes()
    engine = open_engine(URL, tmp_path)
    assert database.revision(engine) == database.HEAD
    engine.dispose()
    assert (tmp_path / "state.db").read_bytes() == before


def written_by(tmp_path: Path, revision: str) -> None:
    open_engine(URL, tmp_path).dispose()
    engine = create_engine(f"sqlite:///{tmp_path}/state.db")
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :new"), {"new": revision})
    engine.dispose()


def test_a_state_written_by_a_newer_studio_is_refused_and_left_alone(tmp_path: Path) -> None:
    written_by(tmp_path, "9999")
    with pytest.raises(StudioError) as reading:
        open_reader(URL, tmp_path, "default")
    with pytest.raises(StudioError) as opening:
        open_engine(URL, tmp_path)
    assert "9999" in reading.value.message and "newer studio" in reading.value.hint
    assert "unknown schema 9999" in opening.value.message and "newer studio" in opening.value.hint


@pytest.mark.parametrize(
    ("url", "words", "hint"),
    [
        ("nonsense", "is not valid", "write sqlite:///path"),
        ("", "is not valid", "write sqlite:///path"),
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
        ("sqlite://", None),
        ("sqlite:///:memory:", ":memory:"),
    ],
)
def test_a_relative_sqlite_path_is_taken_from_the_project(url: str, expected: str | None) -> None:
    assert database.locate(url, Path("/root")).database == expected


KILLED = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import text
from studio.state.sql import open_engine

engine = open_engine("sqlite:///state.db", Path(sys.argv[1]))
with engine.begin() as connection:
    connection.execute(text("INSERT INTO environments (name, lineage, serial) VALUES ('default', 'mine', 41)"))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_reading_what_a_killed_writer_left_leaves_it_as_it_is(tmp_path: Path) -> None:
    root = tmp_path / "100% #1 & more?"
    root.mkdir()
    done = subprocess.run([sys.executable, "-c", KILLED, str(root)], env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == -signal.SIGKILL
    before = {path.name: path.read_bytes() for path in root.glob("state.db*") if path.suffix != ".db-shm"}
    assert set(before) == {"state.db", "state.db-wal"}
    state = open_reader("sqlite:///state.db", root, "default")
    assert isinstance(state, SqlState) and state.lineage().serial == 41
    state.engine.dispose()
    assert {name: (root / name).read_bytes() for name in before} == before
