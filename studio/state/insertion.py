"""Insertions that say what to do when the row is there: one statement, so that nothing happens in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Executable, Table
from sqlalchemy.dialects import postgresql, sqlite

Insertion = Callable[[str, Table, Sequence[str]], Executable]
"""The dialect, the table and the columns that are given, to the statement."""


def inserted(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)


def upserted(dialect: str, table: Table, columns: Sequence[str]) -> Executable:
    """Insert a row, or replace the one with the same primary key."""
    key = [column.name for column in table.primary_key]
    statement = inserted(dialect, table)
    given = {name: statement.excluded[name] for name in columns if name not in key}
    return statement.on_conflict_do_update(index_elements=key, set_=given)


def added(dialect: str, table: Table, _: Sequence[str]) -> Executable:
    """Insert a row, unless one with the same primary key is there."""
    return inserted(dialect, table).on_conflict_do_nothing()
