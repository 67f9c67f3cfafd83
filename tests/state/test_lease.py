"""One writer at a time: a lease that expires by itself, and a fence against those who lost it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Engine

from studio.core.errors import LeaseLostError, StateLockedError
from studio.core.references import Ref
from studio.state.base import Operation, Record, RecordStatus
from studio.state.lease import LEASE_SECONDS, held
from studio.state.sql import SqlState, open_engine
from tests.projects import ROOT

URL = "sqlite:///.studio/state.db"
RECORD = Record(Ref("Dataset", "a"), "uid", {}, {}, "f" * 64, {}, RecordStatus.READY)


@dataclass(slots=True)
class Clock:
    """Time that passes when told to."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    found = open_engine(URL, tmp_path)
    yield found
    found.dispose()


def test_a_second_holder_is_refused_and_told_who_holds_the_lock(engine: Engine) -> None:
    clock = Clock()
    with held(engine, "prod", clock), pytest.raises(StateLockedError) as error, held(engine, "prod", clock):
        pytest.fail("both hold the lease")
    assert f"environment 'prod' is locked by process {os.getpid()} on" in error.value.message
    assert f"its lock expires in {LEASE_SECONDS:.0f} s" in error.value.message


def test_another_environment_has_a_lock_of_its_own(engine: Engine) -> None:
    with held(engine, "prod", Clock()), held(engine, "dev", Clock()) as dev:
        dev.save_record(RECORD)
        assert list(dev.records()) == [RECORD.ref]


def test_a_released_lock_is_free_at_once(engine: Engine) -> None:
    clock = Clock()
    for _ in range(3):
        with held(engine, "prod", clock) as state:
            state.save_record(RECORD)
    lease = SqlState(engine, "prod").lease()
    assert lease is not None and lease.token == 3 and lease.expires_at == 0


def test_a_lock_is_released_after_an_error_and_the_error_goes_on(engine: Engine) -> None:
    with pytest.raises(ZeroDivisionError), held(engine, "prod", Clock()):
        raise ZeroDivisionError
    with held(engine, "prod", Clock()) as state:
        state.save_record(RECORD)
        assert list(state.records()) == [RECORD.ref]


def test_an_expired_lock_is_taken_over_and_the_old_holder_can_write_no_more(engine: Engine) -> None:
    clock = Clock()
    with held(engine, "prod", clock) as old:
        old.save_record(RECORD)
        clock.now += LEASE_SECONDS + 1
        with held(engine, "prod", clock) as new:
            new.delete_record(RECORD.ref)
            for write in (
                lambda: old.save_record(RECORD),
                lambda: old.delete_record(RECORD.ref),
                lambda: old.save_operation(Operation("1", "prod", "apply", "", "", "")),
            ):
                with pytest.raises(LeaseLostError) as error:
                    write()
                assert "'prod' was taken over" in error.value.message and "studio plan" in error.value.hint
            assert new.records() == {} and new.operations() == []
            new.save_record(RECORD)


def test_an_old_holder_that_ends_does_not_release_the_lock_of_the_new_one(engine: Engine) -> None:
    clock = Clock()
    with held(engine, "prod", clock):
        clock.now += LEASE_SECONDS + 1
        new = held(engine, "prod", clock)
        state = new.__enter__()
    with pytest.raises(StateLockedError), held(engine, "prod", clock):
        pytest.fail("both hold the lease")
    state.save_record(RECORD)
    new.__exit__(None, None, None)
    assert list(state.records()) == [RECORD.ref]


def test_an_unexpired_lock_is_not_taken_over(engine: Engine) -> None:
    clock = Clock()
    with held(engine, "prod", clock):
        clock.now += LEASE_SECONDS - 1
        with pytest.raises(StateLockedError, match="expires in 1 s"), held(engine, "prod", clock):
            pytest.fail("both hold the lease")


RACER = """
import sys, time
from pathlib import Path
from studio.core.errors import StateLockedError
from studio.state.lease import held
from studio.state.sql import open_engine

def say(word):
    print(word, flush=True)
    sys.stdin.readline()

for root in sys.argv[1:]:
    say("ready")
    engine = open_engine("sqlite:///.studio/state.db", Path(root))
    try:
        with held(engine, "prod", time.time):
            say("won")
    except StateLockedError:
        say("locked")
"""


def racer(*roots: Path) -> subprocess.Popen[str]:
    """A process that races for the lock of one state after the other; it waits for a line after each word it says."""
    return subprocess.Popen(
        [sys.executable, "-c", RACER, *map(str, roots)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def word(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_of_eight_processes_that_race_for_the_lock_exactly_one_wins(tmp_path: Path) -> None:
    existing, new = tmp_path / "existing", tmp_path / "new"
    open_engine(URL, existing).dispose()
    racers = [racer(existing, new) for _ in range(8)]
    for _ in (existing, new):
        assert [word(each) for each in racers] == ["ready"] * 8
        for each in racers:
            go_on(each)
        assert sorted(word(each) for each in racers) == ["locked"] * 7 + ["won"]
        for each in racers:
            go_on(each)
    assert [each.communicate(timeout=60)[1] for each in racers] == [""] * 8


def test_the_lock_of_a_killed_process_expires_by_itself(tmp_path: Path) -> None:
    holder = racer(tmp_path)
    assert word(holder) == "ready"
    go_on(holder)
    assert word(holder) == "won"
    holder.kill()
    holder.communicate()
    engine = open_engine(URL, tmp_path)
    with pytest.raises(StateLockedError, match=f"process {holder.pid} on"), held(engine, "prod", time.time):
        pytest.fail("both hold the lease")
    with held(engine, "prod", lambda: time.time() + LEASE_SECONDS + 1) as state:
        state.save_record(RECORD)
        assert list(state.records()) == [RECORD.ref]
    engine.dispose()
