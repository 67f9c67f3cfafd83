"""Rows of the tables to values, and values to rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from operator import itemgetter
from typing import Any

from sqlalchemy import JSON, Column, Text, cast

from studio.core.errors import StudioError
from studio.core.references import Ref
from studio.state.base import Operation, Record, RecordStatus, Run, RunStatus
from studio.state.encoding import loads_all
from studio.state.schema import resources

_KEY = ("environment", "kind", "name")
_VALUES = [resources.c[each.name] for each in fields(Record) if each.name != "ref"]


def record_columns() -> list[Any]:
    """What to select for ``records``: of JSON the text, to be decoded a column at a time."""
    texts = (cast(each, Text).label(each.name) if isinstance(each.type, JSON) else each for each in _VALUES)
    return [*(resources.c[name] for name in _KEY), *texts]


def records(rows: Iterable[Sequence[Any]]) -> list[tuple[str, Record]]:
    """Records with their environments, sorted by both. Planning reads every one there is: it takes care to be fast."""
    ordered = sorted(rows, key=itemgetter(0, 1, 2))
    if not ordered:
        return []
    environments, kinds, names, *cells = zip(*ordered, strict=True)
    try:
        values = [list(_decoded(column, each)) for column, each in zip(_VALUES, cells, strict=True)]
    except (ValueError, TypeError):
        raise _damaged(ordered) from None
    return list(zip(environments, map(Record, map(Ref, kinds, names), *values), strict=True))


def _decoded(column: Column[Any], cells: Sequence[Any]) -> Iterable[Any]:
    if isinstance(column.type, JSON):
        found = loads_all(cells)
        if not all(type(each) is dict for each in found):
            raise TypeError(column.name)
        return found
    return map(RecordStatus, cells) if column.name == "status" else cells


def _damaged(rows: Iterable[Sequence[Any]]) -> StudioError:
    """Which record it is that cannot be read, and what of it."""
    for _, kind, name, *cells in rows:
        for column, cell in zip(_VALUES, cells, strict=True):
            try:
                list(_decoded(column, [cell]))
            except (ValueError, TypeError):
                return damage(f"the record {kind}/{name}", column.name)
    raise AssertionError("every record can be read")


def damage(what: str, column: str) -> StudioError:
    """Something that studio does not write was written into the database."""
    hint = "restore the database from a copy, or mend the row; nothing was changed"
    return StudioError(f"the state is damaged: {what} has an unreadable {column}", hint)


def run(row: dict[str, Any]) -> Run:
    row = dict(row)
    ref = Ref(row.pop("kind"), row.pop("name"))
    try:
        status = RunStatus(row["status"])
    except ValueError:
        raise damage(f"the run {row['key']}", "status") from None
    return Run(**{**row, "ref": ref, "status": status})


def operation(row: dict[str, Any]) -> Operation:
    if not isinstance(row["summary"], dict):
        raise damage(f"the operation {row['id']}", "summary")
    return Operation(**row)


def columns(value: Record | Run) -> dict[str, Any]:
    values = {each.name: getattr(value, each.name) for each in fields(value) if each.name != "ref"}
    return {**values, "kind": value.ref.kind, "name": value.ref.name}
