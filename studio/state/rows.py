"""Rows of the tables to values, and values to rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from operator import itemgetter
from typing import Any

from sqlalchemy import JSON, Column, Text, cast

from studio.core.references import Ref
from studio.state.base import Record, RecordStatus, Run, RunStatus
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
    values = map(_decoded, _VALUES, cells)
    return list(zip(environments, map(Record, map(Ref, kinds, names), *values), strict=True))


def _decoded(column: Column[Any], cells: Sequence[Any]) -> Iterable[Any]:
    if isinstance(column.type, JSON):
        return loads_all(cells)
    return map(RecordStatus, cells) if column.name == "status" else cells


def run(row: dict[str, Any]) -> Run:
    row = dict(row)
    ref = Ref(row.pop("kind"), row.pop("name"))
    return Run(**{**row, "ref": ref, "status": RunStatus(row["status"])})


def columns(value: Record | Run) -> dict[str, Any]:
    values = {each.name: getattr(value, each.name) for each in fields(value) if each.name != "ref"}
    return {**values, "kind": value.ref.kind, "name": value.ref.name}
