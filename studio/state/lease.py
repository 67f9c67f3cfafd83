"""The lock on an environment: a lease with heartbeat and fencing token, measured by the database's clock.

A killed holder's lease expires by itself; on the same machine, where it is certain that the process is gone, the next
one takes it over at once. A holder that was paused too long finds its token outdated at its next heartbeat or write,
whichever comes first, and can no longer change anything.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Engine, insert, select, update
from sqlalchemy.exc import DBAPIError

from studio.core.errors import LeaseLostError, StateLockedError
from studio.state.base import Lease, Operation
from studio.state.clock import Epoch
from studio.state.engine import writing
from studio.state.faults import explained
from studio.state.holder import describe, is_gone, stored, this_process
from studio.state.insertion import inserted
from studio.state.schema import leases, operations
from studio.state.sql import SqlState
from studio.state.transactions import Hold, fence

LEASE_SECONDS = 60.0
BEATS = 4
"""Heartbeats in the time of a lease."""


@contextmanager
def held(
    engine: Engine, environment: str, command: str, actor: str = "", seconds: float = LEASE_SECONDS
) -> Iterator[SqlState]:
    """Hold the environment's lease; yields the state that may write. Raises StateLockedError with the holder.

    ``command`` and ``actor`` tell others who holds it. ``seconds``: when it expires, unless it is renewed.
    """
    with explained(engine.url):
        hold = _acquire(engine, environment, command, actor, seconds)
    stopped = threading.Event()
    heart = threading.Thread(target=_beat, args=(engine, hold, stopped), daemon=True)
    heart.start()
    try:
        yield SqlState(engine, environment, hold)
    finally:
        stopped.set()
        heart.join()
        _release(engine, hold.lease)


def break_lease(engine: Engine, seen: Lease, note: Operation) -> bool:
    """Take the lock away from its holder, who can write no more and is told who did it; False when it passed on.

    ``note`` is the operation that says so, recorded in the same transaction.
    """
    with explained(engine.url), writing(engine) as connection:
        row = _row(connection, seen.environment)
        if row is None or row["token"] != seen.token or not _is_held(row):
            return False
        words = describe(this_process(), note.actor, f"studio {note.command}", row["now"])
        _assign(connection, seen.environment, holder=words, token=row["token"] + 1, expires_at=0.0)
        connection.execute(insert(operations).values(asdict(note)))
        return True


def _acquire(engine: Engine, environment: str, command: str, actor: str, seconds: float) -> Hold:
    process = this_process()
    with writing(engine) as connection:
        first = {"environment": environment, "holder": "", "token": 0, "process": {}, "expires_at": 0.0}
        connection.execute(inserted(engine.dialect.name, leases).values(first).on_conflict_do_nothing())
        row = _row(connection, environment)
        assert row is not None
        if _is_held(row):
            raise _locked(_lease(row))
        words = describe(process, actor, command, row["now"])
        lease = Lease(environment, words, row["token"] + 1, seconds)
        _assign(
            connection, environment,
            holder=words, token=lease.token, process=stored(process), expires_at=Epoch() + seconds,
        )  # fmt: skip
        return Hold(lease, seconds)


def _row(connection: Connection, environment: str) -> dict[str, Any] | None:
    """The lease, locked until the end of the transaction, and what time it is."""
    mine = select(leases).where(leases.c.environment == environment).with_for_update()
    row = connection.execute(mine).mappings().first()
    now = connection.execute(select(Epoch())).scalar_one()  # after the row is ours: that may have taken a while
    return {**row, "now": now} if row else None


def _is_held(row: dict[str, Any]) -> bool:
    return bool(row["expires_at"] > row["now"] and not is_gone(row["process"]))


def _lease(row: dict[str, Any]) -> Lease:
    return Lease(row["environment"], row["holder"], row["token"], row["expires_at"] - row["now"])


def _assign(connection: Connection, environment: str, **values: Any) -> None:
    connection.execute(update(leases).where(leases.c.environment == environment).values(**values))


def _locked(lease: Lease) -> StateLockedError:
    return StateLockedError(
        f"environment {lease.environment!r} is locked by {lease.holder}; the lock expires in {lease.left:.0f} s "
        "unless it is renewed",
        "wait for it to finish and try again; of a process that is gone, wait for the lock to expire, "
        "or take it with 'studio state unlock'",
    )


def _beat(engine: Engine, hold: Hold, stopped: threading.Event) -> None:
    while not stopped.wait(hold.seconds / BEATS):
        try:
            with writing(engine) as connection:
                fence(connection, hold)
        except LeaseLostError:
            return  # ``fence`` has noted it; the loop asks
        except DBAPIError:
            continue  # the database is busy or away; the next beat tries again, and writes are fenced anyway


def _release(engine: Engine, lease: Lease) -> None:
    ours = (leases.c.environment == lease.environment, leases.c.token == lease.token)
    try:
        with writing(engine) as connection:
            connection.execute(update(leases).where(*ours).values(expires_at=0.0))
    except DBAPIError:
        return  # the database is busy or away: the lease expires by itself, and what was done is done
