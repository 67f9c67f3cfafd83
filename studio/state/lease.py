"""The lock on an environment: a lease with heartbeat and fencing token.

A killed holder's lease expires by itself. A holder that was paused too long finds its token outdated at its next
write (see ``SqlState``) and can no longer change anything.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, insert, select, update
from sqlalchemy.exc import IntegrityError, OperationalError

from studio.core.errors import StateLockedError
from studio.state.base import Lease
from studio.state.schema import leases
from studio.state.sql import SqlState

LEASE_SECONDS = 60.0
HEARTBEAT_SECONDS = 15.0


@contextmanager
def held(engine: Engine, environment: str, clock: Any) -> Iterator[SqlState]:
    """Hold the environment's lease; yields the state that may write. Raises StateLockedError with the holder."""
    lease = _acquire(engine, environment, clock)
    stopped = threading.Event()
    heart = threading.Thread(target=_beat, args=(engine, lease, clock, stopped), daemon=True)
    heart.start()
    try:
        yield SqlState(engine, environment, lease)
    finally:
        stopped.set()
        heart.join()
        _release(engine, lease)


def holder() -> str:
    """Who this process is, for the message another one prints."""
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"process {os.getpid()} on {socket.gethostname()} since {since}"


def _acquire(engine: Engine, environment: str, clock: Any) -> Lease:
    now = clock()
    here = leases.c.environment == environment
    try:
        with engine.begin() as connection:
            row = connection.execute(select(leases).where(here)).mappings().first()
            lease = Lease(environment, holder(), (row["token"] if row else 0) + 1, now + LEASE_SECONDS)
            values = {"holder": lease.holder, "token": lease.token, "expires_at": lease.expires_at}
            if row is None:
                connection.execute(insert(leases).values(environment=environment, **values))
                return lease
            free = (here, leases.c.token == row["token"], leases.c.expires_at <= now)
            if connection.execute(update(leases).where(*free).values(**values)).rowcount == 1:
                return lease
    except IntegrityError:
        row = None  # another process inserted the first lease between our two statements
    except OperationalError as error:
        raise StateLockedError(f"the state is busy: {error.orig}", "try again in a moment") from error
    raise _locked(environment, row, now)


def _locked(environment: str, row: Any, now: float) -> StateLockedError:
    who = row["holder"] if row else "another process"
    left = f"; its lock expires in {max(0, round(row['expires_at'] - now))} s unless it is alive" if row else ""
    return StateLockedError(
        f"environment {environment!r} is locked by {who}{left}", "wait for it to finish, then try again"
    )


def _beat(engine: Engine, lease: Lease, clock: Any, stopped: threading.Event) -> None:
    while not stopped.wait(HEARTBEAT_SECONDS):
        ours = (leases.c.environment == lease.environment, leases.c.token == lease.token)
        try:
            with engine.begin() as connection:
                connection.execute(update(leases).where(*ours).values(expires_at=clock() + LEASE_SECONDS))
        except OperationalError:
            continue  # the database is busy or away; the next beat tries again, and writes are fenced anyway


def _release(engine: Engine, lease: Lease) -> None:
    ours = (leases.c.environment == lease.environment, leases.c.token == lease.token)
    with engine.begin() as connection:
        connection.execute(update(leases).where(*ours).values(expires_at=0.0))
