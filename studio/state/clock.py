"""The database's clock. A lease is measured by it alone: a host whose clock is wrong neither steals nor keeps a lock.

For SQLite the database's clock is the host's; whoever shares the file shares the clock.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Float
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class Epoch(FunctionElement[float]):
    """Seconds since the epoch, now: not at the beginning of the transaction."""

    type = Float()
    inherit_cache = True


@compiles(Epoch, "postgresql")
def _postgresql(*_: Any, **__: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) AS double precision)"


@compiles(Epoch, "sqlite")
def _sqlite(*_: Any, **__: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"  # the Julian day of 1970-01-01 00:00
