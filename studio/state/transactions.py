"""Transactions: fenced by the lease, and surviving a lost connection.

A transaction remembers what it did. When the connection breaks, all of it is done again on a new one; when it breaks
while committing, the environment's serial, which every transaction counts up, tells whether it was committed.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Executable, Row, select, update
from sqlalchemy.exc import DBAPIError

from studio.core.errors import LeaseLostError
from studio.state import schema
from studio.state.base import Lease
from studio.state.clock import Epoch
from studio.state.engine import IMMEDIATE
from studio.state.faults import explain, is_lost
from studio.state.insertion import inserted

Result = TypeVar("Result")
Rows = list[dict[str, Any]]

PATIENCE_SECONDS = 30.0
"""How long a lost server is waited for; shorter than a lease, so that the lock is still ours when it is back."""
_PAUSES = (0.0, 0.1, 0.5, 1.0, 2.0)


@dataclass(slots=True)
class Hold:
    """A lease that this process took, for how many seconds each renewal counts, and whether it was lost since."""

    lease: Lease
    seconds: float
    lost: threading.Event = field(default_factory=threading.Event)


def surviving(action: Callable[[], Result], engine: Engine, patience: float) -> Result:
    """Do it, and again while the server is away, at most ``patience`` seconds. Raises StudioError."""
    deadline = time.monotonic() + patience
    tries = 0
    while True:
        try:
            return action()
        except DBAPIError as error:
            if not is_lost(error) or time.monotonic() >= deadline:
                raise explain(error, engine.url) from error
            time.sleep(_PAUSES[min(tries, len(_PAUSES) - 1)])
            tries += 1


class Transaction:
    """What is done under a lease and becomes visible at once, or not at all."""

    def __init__(self, engine: Engine, hold: Hold) -> None:
        self._engine = engine
        self._hold = hold
        self._connection: Connection | None = None
        self._steps: list[tuple[Executable, Rows]] = []
        self._serial = 0
        self._committing = False

    def write(self, statement: Executable, rows: Rows) -> None:
        self._do(lambda connection: connection.execute(statement, rows or None))
        self._steps.append((statement, rows))

    def read(self, query: Executable) -> Sequence[Row[Any]]:
        return self._do(lambda connection: connection.execute(query).all())

    def commit(self) -> None:
        """Make it last; what wrote nothing counts as no change."""
        if self._steps:
            self._committing = True
            self._do(lambda connection: connection.commit())
        self.close()

    def close(self) -> None:
        """Give the connection back; what is not committed is undone."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _do(self, action: Callable[[Connection], Result]) -> Result:
        def attempt() -> Result:
            try:
                return action(self._connection or self._begun())
            except DBAPIError:
                self.close()
                raise

        return surviving(attempt, self._engine, PATIENCE_SECONDS)

    def _begun(self) -> Connection:
        connection = self._engine.connect().execution_options(**{IMMEDIATE: True})
        self._connection = connection
        connection.begin()
        fence(connection, self._hold)
        if self._committing and self._recorded_serial(connection) == self._serial:
            return connection  # the last thing heard of it was no answer, but it was committed
        self._serial = self._counted(connection)
        for statement, rows in self._steps:
            connection.execute(statement, rows or None)
        return connection

    def _recorded_serial(self, connection: Connection) -> int:
        table = schema.environments
        here = table.c.name == self._hold.lease.environment
        return int(connection.execute(select(table.c.serial).where(here)).scalar_one_or_none() or 0)

    def _counted(self, connection: Connection) -> int:
        """Count the change; the first one begins the environment's history."""
        table = schema.environments
        fresh = {"name": self._hold.lease.environment, "lineage": str(uuid.uuid4()), "serial": 1}
        counted = inserted(connection.dialect.name, table).values(fresh)
        counted = counted.on_conflict_do_update(index_elements=["name"], set_={"serial": table.c.serial + 1})
        return int(connection.execute(counted.returning(table.c.serial)).scalar_one())


def fence(connection: Connection, hold: Hold) -> None:
    """Renew the lease, which locks its row until the commit: nobody can take it over in between.

    Raises LeaseLostError when somebody did before.
    """
    table, lease = schema.leases, hold.lease
    ours = (table.c.environment == lease.environment, table.c.token == lease.token)
    renewed = update(table).where(*ours).values(expires_at=Epoch() + hold.seconds)
    if connection.execute(renewed).rowcount == 1:
        return
    hold.lost.set()
    who = connection.execute(select(table.c.holder).where(table.c.environment == lease.environment)).scalar()
    raise lease_lost(lease.environment, who)


def lease_lost(environment: str, who: str | None) -> LeaseLostError:
    return LeaseLostError(
        f"the lock on environment {environment!r} was taken over by {who or 'another process'}",
        "nothing was written after that, and jobs run on; 'studio plan' shows where things stand",
    )
