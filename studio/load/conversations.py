"""Rows of local files that should hold conversations, and do not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from studio.core import conversations, rowfiles
from studio.core.conversations import ConversationError
from studio.core.rowfiles import RowsError
from studio.load.recollection import recollect

MOST_TOLD = 5


@dataclass(frozen=True, slots=True)
class Faults:
    """``bad`` of ``rows`` hold no conversation; of the first few, what is wrong and what to do."""

    bad: int
    rows: int
    told: tuple[tuple[str, str], ...]


def faults(path: Path, location: str, column: str) -> Faults | None:
    """Of a JSON or JSON lines file; None for one that can no longer be read."""
    try:
        bad, rows, told = recollect(path, f"conversations in {column}", lambda _: _look(path, location, column))
    except (RowsError, OSError):
        return None
    return Faults(bad, rows, tuple((message, hint) for message, hint in told))


def _look(path: Path, location: str, column: str) -> tuple[int, int, list[list[str]]]:
    told: list[list[str]] = []
    bad = rows = 0
    for where, row in rowfiles.objects(path, location):
        rows += 1
        try:
            conversations.read(row.get(column))
        except ConversationError as error:
            bad += 1
            if len(told) < MOST_TOLD:
                told.append([f"{where}: {error.message}", error.hint])
    return bad, rows, told
