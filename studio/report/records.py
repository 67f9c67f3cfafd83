"""Records as they are stored, as text and JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from studio.report.plain import plain
from studio.report.standings import FIRST, NOTHING
from studio.state.base import Record


def to_text(records: Sequence[Record]) -> str:
    """One line a record: resource, status, uid, when it was last written."""
    if not records:
        return f"{NOTHING.capitalize()}. {FIRST}."
    width = max(len(str(record.ref)) for record in records)
    return "\n".join(
        f"{plain(record.ref):{width}}  {record.status.value:6}  {plain(record.uid)}  {plain(record.updated_at)}"
        for record in records
    )


def to_json(records: Iterable[Record]) -> list[dict[str, Any]]:
    """What ``to_text`` says, as data."""
    return [
        {
            "kind": record.ref.kind,
            "name": record.ref.name,
            "status": record.status.value,
            "uid": record.uid,
            "updated_at": record.updated_at,
        }
        for record in records
    ]


def whole(record: Record) -> dict[str, Any]:
    """Everything that is stored of a resource."""
    return {**asdict(record), "ref": str(record.ref)}
