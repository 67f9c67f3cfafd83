"""A connection that breaks, at whatever moment, loses no write and makes none twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from studio.core.errors import LeaseLostError, StudioError
from studio.core.references import Ref
from studio.state import transactions
from studio.state.base import Record, RecordStatus
from studio.state.lease import held
from studio.state.sql import SqlState, open_engine, open_reader
from tests.fakes.wire import Wire, wire
from tests.postgresql import Server
from tests.state.players import broken


@pytest.fixture
def line(server: Server) -> Iterator[Wire]:
    with wire(server.port) as found:
        yield found


@pytest.fixture
def url(server: Server, line: Wire) -> str:
    return server.database().replace(str(server.port), str(line.port))


@pytest.fixture
def engine(url: str, tmp_path: Path) -> Iterator[Engine]:
    found = open_engine(url, tmp_path)
    yield found
    found.dispose()


@pytest.fixture
def state(engine: Engine) -> Iterator[SqlState]:
    with held(engine, "default", "studio apply") as found:
        found.save_record(record("before"))
        yield found


def record(name: str) -> Record:
    return Record(Ref("Dataset", name), "uid", {}, {}, "f" * 64, {}, RecordStatus.READY)


def names(state: SqlState) -> list[str]:
    return [ref.name for ref in state.records()]


def test_a_connection_lost_between_two_writes_is_made_anew(state: SqlState, line: Wire) -> None:
    line.cut()
    state.save_record(record("next"))
    line.cut()
    assert names(state) == ["before", "next"] and state.lineage().serial == 2


def test_a_session_that_the_server_ended_is_made_anew(state: SqlState, server: Server) -> None:
    with state.together():
        state.save_record(record("a"))
        assert server.hang_up(str(state.engine.url.database)) > 0
        state.save_record(record("b"))
        assert server.hang_up(str(state.engine.url.database)) > 0
        assert names(state) == ["a", "b", "before"]
    assert names(state) == ["a", "b", "before"] and state.lineage().serial == 2


@pytest.mark.parametrize("moment", ["cut_before", "cut_after"], ids=["not committed", "committed, and nobody told us"])
def test_a_commit_of_which_nothing_is_heard_happens_once(state: SqlState, line: Wire, moment: str) -> None:
    with state.together():
        state.delete_record(Ref("Dataset", "before"))
        state.save_records([record("a"), record("b")])
        setattr(line, moment, b"COMMIT")
    assert line.cuts == 1
    assert names(state) == ["a", "b"] and state.lineage().serial == 2
    state.save_record(record("c"))
    assert names(state) == ["a", "b", "c"] and state.lineage().serial == 3


def test_a_server_that_is_away_for_a_while_is_waited_for(state: SqlState, line: Wire) -> None:
    line.is_down = True
    line.cut()
    threading.Timer(1.0, setattr, (line, "is_down", False)).start()
    begun = time.monotonic()
    state.save_record(record("next"))
    assert time.monotonic() - begun > 0.9
    assert names(state) == ["before", "next"]


def test_a_server_that_stays_away_is_given_up_and_named_without_its_password(
    state: SqlState, line: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "PATIENCE_SECONDS", 0.5)
    line.is_down = True
    line.cut()
    with pytest.raises(StudioError) as error:
        state.save_record(record("next"))
    assert f"studio:***@127.0.0.1:{line.port}" in error.value.message and "hunter2" not in error.value.message
    assert "that the server runs" in error.value.hint
    line.is_down = False
    assert names(state) == ["before"] and state.lineage().serial == 1


def test_a_lock_that_was_taken_while_the_server_was_away_is_lost(
    state: SqlState, line: Wire, server: Server, tmp_path: Path
) -> None:
    direct = open_engine(server.url(str(state.engine.url.database)), tmp_path)
    with pytest.raises(LeaseLostError, match="taken over by admin"), state.together():
        state.save_record(record("a"))
        line.cut()
        assert broken(direct, "default")
        state.save_record(record("b"))
    assert names(SqlState(direct, "default")) == ["before"]
    direct.dispose()


def test_a_lock_is_not_taken_while_a_write_under_it_is_not_committed(
    state: SqlState, server: Server, tmp_path: Path
) -> None:
    direct = open_engine(server.url(str(state.engine.url.database)), tmp_path)
    answers: list[bool] = []
    with state.together():
        state.save_record(record("a"))
        thief = threading.Thread(target=lambda: answers.append(broken(direct, "default")))
        thief.start()
        thief.join(0.5)
        assert answers == []
    thief.join(10)
    assert answers == [True] and names(SqlState(direct, "default")) == ["a", "before"]
    with pytest.raises(LeaseLostError):
        state.save_record(record("b"))
    direct.dispose()


def test_the_heart_goes_on_beating_after_the_server_was_away(engine: Engine, line: Wire) -> None:
    with held(engine, "default", "studio apply", seconds=2.0) as state:
        line.cut()
        time.sleep(2.5)
        state.demand_lease()
        assert SqlState(engine, "default").lease() is not None
        line.is_down = True
        line.cut()
    line.is_down = False
    time.sleep(2.2)  # it could not be given back, so it expires
    with held(engine, "default", "studio apply") as state:
        state.save_record(record("a"))
        assert names(state) == ["a"]


def test_a_reader_tries_once_more(url: str, state: SqlState, line: Wire, tmp_path: Path) -> None:
    reader = open_reader(url, tmp_path, "default")
    assert isinstance(reader, SqlState) and names(reader) == ["before"]
    line.cut()
    assert names(reader) == ["before"]
    reader.engine.dispose()
