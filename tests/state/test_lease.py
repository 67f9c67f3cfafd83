"""One writer at a time: a lease that expires by itself, and a fence against those who lost it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, update

from studio.core.errors import LeaseLostError, StateLockedError
from studio.core.references import Ref
from studio.state.base import Operation, Record, RecordStatus
from studio.state.clock import Epoch
from studio.state.engine import writing
from studio.state.holder import Process, is_gone, stored, this_process
from studio.state.lease import LEASE_SECONDS, break_lease, held
from studio.state.schema import leases
from studio.state.sql import SqlState, open_engine
from tests.state.players import RACER, Player, broken

RECORD = Record(Ref("Dataset", "a"), "uid", {}, {}, "f" * 64, {}, RecordStatus.READY)
OTHER = replace(RECORD, ref=Ref("Dataset", "b"))


@pytest.fixture
def engine(state_url: str, tmp_path: Path) -> Iterator[Engine]:
    found = open_engine(state_url, tmp_path)
    yield found
    found.dispose()


def let_pass(engine: Engine, seconds: float) -> None:
    """As if so much time had passed without a heartbeat, by the database's clock."""
    with writing(engine) as connection:
        connection.execute(update(leases).values(expires_at=leases.c.expires_at - seconds))


def refusal(engine: Engine, environment: str = "prod") -> str:
    with pytest.raises(StateLockedError) as error, held(engine, environment, "studio apply"):
        pytest.fail("both hold the lease")
    return error.value.message


# Taking and giving back


def test_a_second_holder_is_refused_and_told_who_holds_the_lock(engine: Engine) -> None:
    with held(engine, "prod", "studio apply", "octocat"):
        message = refusal(engine)
    assert f"environment 'prod' is locked by octocat: 'studio apply', process {os.getpid()} on " in message
    assert f"the lock expires in {LEASE_SECONDS:.0f} s unless it is renewed" in message


def test_another_environment_has_a_lock_of_its_own(engine: Engine) -> None:
    with held(engine, "prod", "studio apply"), held(engine, "dev", "studio apply") as dev:
        dev.save_record(RECORD)
        assert list(dev.records()) == [RECORD.ref]


def test_a_released_lock_is_free_at_once_and_its_token_grew(engine: Engine) -> None:
    tokens = []
    for _ in range(3):
        with held(engine, "prod", "studio apply") as state:
            state.save_record(RECORD)
            lease = state.lease()
            assert lease is not None and 0 < lease.left <= LEASE_SECONDS
            tokens.append(lease.token)
    assert tokens == [1, 2, 3] and SqlState(engine, "prod").lease() is None


def test_a_lock_is_released_after_an_error_and_the_error_goes_on(engine: Engine) -> None:
    with pytest.raises(ZeroDivisionError), held(engine, "prod", "studio apply"):
        raise ZeroDivisionError
    with held(engine, "prod", "studio apply") as state:
        state.save_record(RECORD)
        assert list(state.records()) == [RECORD.ref]


# Losing it


def test_an_expired_lock_is_taken_over_and_the_old_holder_can_write_no_more(engine: Engine) -> None:
    with held(engine, "prod", "studio apply", "first") as old:
        old.save_record(RECORD)
        let_pass(engine, LEASE_SECONDS + 1)
        with held(engine, "prod", "studio destroy", "second") as new:
            new.delete_record(RECORD.ref)
            for write in (
                lambda: old.save_record(RECORD),
                lambda: old.save_records([RECORD, OTHER]),
                lambda: old.delete_record(RECORD.ref),
                lambda: old.save_operation(Operation("1", "prod", "apply", "", "", "")),
            ):
                with pytest.raises(LeaseLostError) as error:
                    write()
                assert "'prod' was taken over by second: 'studio destroy', process" in error.value.message
                assert "studio plan" in error.value.hint
            with pytest.raises(LeaseLostError), old.together():
                old.save_record(RECORD)
            assert new.records() == {} and new.operations() == []
            new.save_record(RECORD)


def test_an_old_holder_that_ends_does_not_release_the_lock_of_the_new_one(engine: Engine) -> None:
    with held(engine, "prod", "studio apply"):
        let_pass(engine, LEASE_SECONDS + 1)
        new = held(engine, "prod", "studio apply")
        state = new.__enter__()
    refusal(engine)
    state.save_record(RECORD)
    new.__exit__(None, None, None)
    assert list(state.records()) == [RECORD.ref]


def test_an_unexpired_lock_is_not_taken_over(engine: Engine) -> None:
    with held(engine, "prod", "studio apply"):
        let_pass(engine, LEASE_SECONDS - 5)
        assert "expires in 5 s" in refusal(engine) or "expires in 4 s" in refusal(engine)


def test_an_expired_lock_that_nobody_took_still_writes_and_is_renewed_by_it(engine: Engine) -> None:
    with held(engine, "prod", "studio apply") as state:
        let_pass(engine, LEASE_SECONDS + 1)
        assert SqlState(engine, "prod").lease() is None
        state.save_record(RECORD)
        assert "is locked" in refusal(engine)


def test_the_heartbeat_keeps_the_lock_and_notices_when_it_is_lost(engine: Engine) -> None:
    with held(engine, "prod", "studio apply", seconds=0.8) as state:
        time.sleep(1.6)
        assert "is locked" in refusal(engine)
        state.demand_lease()
        assert broken(engine, "prod")
        deadline = time.monotonic() + 10
        with pytest.raises(LeaseLostError, match="'prod' was taken over"):
            while time.monotonic() < deadline:
                state.demand_lease()
                time.sleep(0.05)


def test_a_broken_lock_names_who_held_it_and_the_holder_who_broke_it(engine: Engine) -> None:
    assert not broken(engine, "prod")
    with held(engine, "prod", "studio apply", "first") as state:
        assert broken(engine, "prod") and not broken(engine, "prod")
        with pytest.raises(LeaseLostError, match="taken over by admin: 'studio state unlock'"):
            state.save_record(RECORD)
    with held(engine, "prod", "studio apply") as state:
        state.save_record(RECORD)
        assert list(state.records()) == [RECORD.ref]
        assert [(each.actor, each.summary) for each in state.operations()] == [("admin", {"lock": "broken"})]


def test_a_lock_that_passed_on_since_it_was_seen_is_not_broken(engine: Engine) -> None:
    with held(engine, "prod", "studio apply") as state:
        seen = state.lease()
        assert seen is not None
    with held(engine, "prod", "studio apply") as state:
        assert not break_lease(engine, seen, Operation("1", "prod", "state unlock", "", "", ""))
        state.save_record(RECORD)
        assert state.operations() == []


def test_a_host_with_a_wrong_clock_neither_steals_nor_keeps_a_lock(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time
    for wrong in (-1e6, 1e6):
        with monkeypatch.context() as patched, held(engine, "prod", "studio apply"):
            patched.setattr(time, "time", lambda wrong=wrong: real() + wrong)
            assert f"expires in {LEASE_SECONDS:.0f} s" in refusal(engine)
        with held(engine, "prod", "studio apply") as state:
            state.save_record(RECORD)
            assert list(state.records()) == [RECORD.ref]


# Whose process is gone


def left_by(engine: Engine, process: dict[str, Any]) -> None:
    """A lock whose holder did not give it back."""
    with held(engine, "prod", "studio apply"):
        pass
    with writing(engine) as connection:
        connection.execute(update(leases).values(process=process, expires_at=Epoch() + LEASE_SECONDS))


def ended_process() -> Process:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return replace(this_process(), pid=pid)


@pytest.mark.parametrize(
    "change",
    [{"host": "elsewhere"}, {"space": "another boot"}, {"space": ""}, {"pid": os.getppid(), "started": ""}],
    ids=["another host", "another boot", "unknown boot", "no start time"],
)
def test_a_holder_that_cannot_be_known_to_be_gone_keeps_its_lock(engine: Engine, change: dict[str, Any]) -> None:
    gone = {"host": "h", "space": "", "pid": 2**22 + 1, "started": ""}
    left_by(engine, {**stored(this_process()), **({} if "pid" in change else {"pid": gone["pid"]}), **change})
    assert "is locked" in refusal(engine) and SqlState(engine, "prod").lease() is not None


def test_a_lock_of_an_older_studio_names_no_process_and_waits_for_its_expiry(engine: Engine) -> None:
    left_by(engine, {})
    assert "is locked" in refusal(engine)


@pytest.mark.skipif(not this_process().space, reason="this system does not tell boots apart")
def test_a_holder_that_is_certainly_gone_is_taken_over_at_once(engine: Engine) -> None:
    for process in (ended_process(), replace(this_process(), started="1")):  # its pid belongs to another one now
        left_by(engine, stored(process))
        assert SqlState(engine, "prod").lease() is None
        with held(engine, "prod", "studio apply") as state:
            state.save_record(RECORD)
            assert list(state.records()) == [RECORD.ref]


@pytest.mark.skipif(not this_process().space, reason="this system does not tell boots apart")
def test_a_process_that_ended_and_was_not_waited_for_is_gone() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    deadline = time.monotonic() + 10
    gone = replace(this_process(), pid=pid)
    try:
        while not is_gone(stored(gone)) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert is_gone(stored(gone)) and not is_gone(stored(this_process()))
    finally:
        os.waitpid(pid, 0)


# Real processes


@pytest.mark.slow
def test_of_eight_processes_that_race_for_the_lock_exactly_one_wins(state_url: str, tmp_path: Path) -> None:
    racers = [Player(RACER, state_url, tmp_path) for _ in range(8)]
    for _ in ("a new state", "an existing one"):
        assert [each.word() for each in racers] == ["ready"] * 8
        for each in racers:
            each.go_on()
        assert sorted(each.word() for each in racers) == ["locked"] * 7 + ["won"]
        for each in racers:
            each.go_on()
    assert [each.end() for each in racers] == [""] * 8


def test_the_lock_of_a_killed_process_is_taken_over(state_url: str, tmp_path: Path) -> None:
    holder = Player(RACER, state_url, tmp_path)
    assert holder.word() == "ready"
    holder.go_on()
    assert holder.word() == "won"
    engine = open_engine(state_url, tmp_path)
    assert f"process {holder.process.pid} on" in refusal(engine)
    holder.process.kill()
    holder.process.wait()
    if not this_process().space:
        let_pass(engine, LEASE_SECONDS + 1)
    with held(engine, "prod", "studio apply") as state:
        state.save_record(RECORD)
        assert list(state.records()) == [RECORD.ref]
    engine.dispose()
