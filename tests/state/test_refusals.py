"""Whatever a database refuses is said in words: where, what, and what to do, with no password in them."""

from __future__ import annotations

import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import event

import studio.state.engine as database
from studio.core.errors import StateLockedError, StudioError
from studio.core.references import Ref
from studio.state.base import Record, RecordStatus
from studio.state.lease import held
from studio.state.sql import EmptyState, SqlState, open_engine, open_reader
from tests.cli.front_door import ask
from tests.postgresql import USER, Server

SQLITE = "sqlite:///state.db"
RECORD = Record(Ref("Dataset", "a"), "uid", {"text": "x" * 5000}, {}, "f" * 64, {}, RecordStatus.READY)


def refusals(url: str, root: Path) -> Iterator[StudioError]:
    """What both ways to open a state say."""
    ways: list[Callable[[], object]] = [
        lambda: open_reader(url, root, "default").lineage(),
        lambda: open_engine(url, root),
    ]
    for way in ways:
        with pytest.raises(StudioError) as error:
            way()
        assert "hunter2" not in error.value.message + error.value.hint
        yield error.value


# PostgreSQL


@contextmanager
def nobody_home() -> Iterator[int]:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
    yield int(port)


@contextmanager
def silence() -> Iterator[int]:
    """A port on which somebody accepts, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


@pytest.mark.parametrize("where", [nobody_home, silence])
def test_a_server_that_is_not_reached_is_given_up_within_its_time(tmp_path: Path, where: Any) -> None:
    with where() as port:
        url = f"postgresql+psycopg://studio:hunter2@127.0.0.1:{port}/db?connect_timeout=2&password=hunter2"
        begun = time.monotonic()
        for refused in refusals(url, tmp_path):
            assert f"the state at postgresql+psycopg://studio:***@127.0.0.1:{port}/db: " in refused.message
            assert "check host, port, database, user and password" in refused.hint
        assert time.monotonic() - begun < 10


def test_ten_seconds_are_the_time_of_a_server_unless_the_url_says_another() -> None:
    assert database._SERVER["connect_timeout"] == 10


def test_a_wrong_password_a_missing_user_and_a_missing_database_are_named(server: Server, tmp_path: Path) -> None:
    for url, words in (
        (server.url("postgres", password="wrong"), "password authentication failed"),
        (server.url("postgres", user="nobody"), "nobody"),
        (server.url("nowhere"), 'database "nowhere" does not exist'),
    ):
        for refused in refusals(url, tmp_path):
            assert words in refused.message and "\n" not in refused.message
            assert "database, user and password" in refused.hint


@pytest.fixture
def guest(server: Server) -> Iterator[str]:
    """A user who may connect, and nothing else."""
    name = "guest"
    server.admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'hunter2'").format(sql.Identifier(name)))
    yield name
    server.admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def test_a_user_who_may_not_make_tables_is_told_what_to_grant(server: Server, guest: str, tmp_path: Path) -> None:
    url = server.database().replace(f"{USER}:", f"{guest}:")
    assert isinstance(open_reader(url, tmp_path, "default"), EmptyState)
    with pytest.raises(StudioError, match="permission denied for schema public") as error:
        open_engine(url, tmp_path)
    assert "grant the user USAGE and CREATE on the schema" in error.value.hint


def test_a_user_who_may_only_read_reads_and_takes_no_lock(server: Server, guest: str, tmp_path: Path) -> None:
    owner = server.database()
    open_engine(owner, tmp_path).dispose()
    with psycopg.connect(owner.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {}").format(sql.Identifier(guest)))
        url = owner.replace(f"{USER}:", f"{guest}:")
        reader = open_reader(url, tmp_path, "default")
        assert isinstance(reader, SqlState) and reader.records() == {} and reader.lease() is None
        engine = open_engine(url, tmp_path)
        with pytest.raises(StudioError, match="permission denied for table leases"), held(engine, "default", "x"):
            pytest.fail("it may not write")
        connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(guest)))
    engine.dispose()
    reader.engine.dispose()


def test_a_server_that_only_reads_is_told_apart(server: Server, tmp_path: Path) -> None:
    url = server.database()
    open_engine(url, tmp_path).dispose()
    name = url.rpartition("/")[2]
    server.admin.execute(
        sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(sql.Identifier(name))
    )
    engine = open_engine(url, tmp_path)
    with pytest.raises(StudioError, match="read-only transaction") as error, held(engine, "default", "x"):
        pytest.fail("it may not write")
    assert "name the primary" in error.value.hint
    engine.dispose()


def test_a_reader_of_a_server_cannot_write(server: Server, tmp_path: Path) -> None:
    url = server.database()
    open_engine(url, tmp_path).dispose()
    reader = open_reader(url, tmp_path, "default")
    assert isinstance(reader, SqlState)
    with pytest.raises(StudioError, match="read-only transaction"), held(reader.engine, "default", "x"):
        pytest.fail("it may not write")
    reader.engine.dispose()


def test_a_table_that_another_session_locks_is_not_waited_for_for_ever(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_SESSION", database._SESSION.replace("30s", "300ms"))
    url = server.database()
    engine = open_engine(url, tmp_path)
    with psycopg.connect(url.replace("+psycopg", "")) as other:
        other.execute("LOCK TABLE leases")
        with pytest.raises(StateLockedError, match="lock timeout") as error, held(engine, "default", "x"):
            pytest.fail("the table is locked")
    assert "another program" in error.value.hint
    engine.dispose()


def test_a_session_that_was_paused_inside_a_transaction_keeps_no_lock(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_SESSION", database._SESSION.replace("60s", "300ms"))
    url = server.database()
    paused, other = open_engine(url, tmp_path), open_engine(url, tmp_path)
    with held(paused, "default", "studio apply") as state:
        with state.together():
            state.save_record(RECORD)
            time.sleep(1.0)
            with database.writing(other) as connection:
                connection.exec_driver_sql("UPDATE leases SET holder = holder")
        assert list(state.records()) == [RECORD.ref]
    paused.dispose()
    other.dispose()


def test_a_driver_that_is_not_installed_is_named_with_its_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "psycopg", None)
    for refused in refusals("postgresql://studio:hunter2@127.0.0.1/db", tmp_path):
        assert "is not installed" in refused.message and "fine-tuning-studio[postgres]" in refused.hint


# SQLite


def test_a_folder_in_place_of_the_file_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "state.db").mkdir()
    for refused in refusals(SQLITE, tmp_path):
        assert f"{tmp_path}/state.db" in refused.message and "folder" in refused.message + refused.hint


def test_a_file_in_place_of_the_folder_is_told(data_only: Path) -> None:
    (data_only / ".studio").write_text("")
    answer = ask(data_only, "apply", "--yes")
    assert answer.code == 1 and ".studio" in answer.err and "bug" not in answer.err


def test_a_full_disk_is_told_and_what_was_written_is_kept(tmp_path: Path) -> None:
    engine = open_engine(SQLITE, tmp_path)
    with held(engine, "default", "studio apply") as state:
        state.save_record(RECORD)

        @event.listens_for(engine, "begin")
        def fill(connection: Any) -> None:
            connection.exec_driver_sql("PRAGMA max_page_count = 1")

        with pytest.raises(StudioError, match="disk is full") as error:
            state.save_records([RECORD] + [_named(n) for n in range(50)])
        event.remove(engine, "begin", fill)
        assert "make room" in error.value.hint and f"{tmp_path}/state.db" in error.value.message
        assert list(state.records()) == [RECORD.ref] and state.lineage().serial == 1
    engine.dispose()


def _named(number: int) -> Record:
    return Record(Ref("Dataset", f"n{number}"), "uid", RECORD.spec, {}, "f" * 64, {}, RecordStatus.READY)


def test_a_file_that_another_program_locks_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.3)
    engine = open_engine(SQLITE, tmp_path)
    with closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StateLockedError, match="is busy: database is locked") as error:
            held(engine, "default", "studio apply").__enter__()
        assert "another program" in error.value.hint
        reader = open_reader(SQLITE, tmp_path, "default")
        assert reader.records() == {}
    engine.dispose()


def test_a_busy_state_ends_apply_with_3(data_only: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.3)
    assert ask(data_only, "apply", "--yes").code == 0
    (data_only / "manifests" / "all.yaml").write_text((data_only / "manifests" / "all.yaml").read_text() + "\n")
    with closing(sqlite3.connect(data_only / ".studio" / "state.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        answer = ask(data_only, "state", "rm", "Config/lora", "--yes")
    assert answer.code == 3 and "busy" in answer.err, answer


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    open_engine(SQLITE, tmp_path).dispose()
    file = tmp_path / "state.db"
    content = file.read_bytes()
    file.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))
    for refused in refusals(SQLITE, tmp_path):
        assert "malformed" in refused.message and "backup" in refused.hint
