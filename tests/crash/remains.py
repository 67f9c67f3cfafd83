"""What a life left behind, read past studio, and the faults in it."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.crash.backend import AGAIN, ASKED, EFFECT, FOLDER, JOURNAL

Row = dict[str, Any]
OWN = {
    "resources": ("uid", "created_at", "updated_at"),
    "artifacts": ("created_at",),
    "runs": ("submitted_at", "finished_at"),
}
"""Tables that must be equal to those of an undisturbed life, but for these columns."""


@dataclass(frozen=True, slots=True)
class Remains:
    """The backend's journal and the rows of the state's tables."""

    journal: list[Row]
    tables: dict[str, list[Row]]
    integrity: str

    @property
    def effects(self) -> Counter[tuple[str, int]]:
        """How often each attempt of each job came into being."""
        return Counter((line["key"], line["attempt"]) for line in self.journal if line["what"] == EFFECT)


def read(root: Path) -> Remains:
    journal = root / FOLDER / JOURNAL
    lines = [json.loads(line) for line in journal.read_text("utf-8").splitlines()] if journal.exists() else []
    with sqlite3.connect(f"file:{root / '.studio' / 'state.db'}?mode=ro", uri=True) as connection:
        connection.row_factory = sqlite3.Row
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        tables = {name: [dict(row) for row in connection.execute(f'SELECT * FROM "{name}"')] for name in names}
        integrity = str(connection.execute("PRAGMA integrity_check").fetchone()[0])
    connection.close()
    return Remains(lines, tables, integrity)


def faults(found: Remains, undisturbed: Remains) -> Iterator[str]:
    """What is wrong with a life that ended well, in words."""
    if found.integrity != "ok":
        yield f"the database is damaged: {found.integrity}"
    yield from _submissions(found, undisturbed)
    for table, columns in OWN.items():
        yield from _rows(table, found, undisturbed, columns)
    yield from _open(found)


def _submissions(found: Remains, undisturbed: Remains) -> Iterator[str]:
    for job, times in (found.effects - undisturbed.effects).items():
        yield f"{job} was submitted {times} times more than needed"
    for job in undisturbed.effects - found.effects:
        yield f"{job} was never submitted"
    begun: set[tuple[str, int]] = set()
    for line in found.journal:
        job = (line["key"], line["attempt"])
        if line["what"] == AGAIN or (line["what"] == ASKED and job in begun):
            yield f"{job} was submitted although it existed: {line['what']}"
        if line["what"] == EFFECT:
            begun.add(job)


def _rows(table: str, found: Remains, undisturbed: Remains, own: tuple[str, ...]) -> Iterator[str]:
    ours, theirs = (sorted(_text(row, own) for row in each.tables[table]) for each in (found, undisturbed))
    for text in sorted((Counter(theirs) - Counter(ours)).elements()):
        yield f"{table} lacks {text}"
    for text in sorted((Counter(ours) - Counter(theirs)).elements()):
        yield f"{table} has {text}"


def _text(row: Row, own: tuple[str, ...]) -> str:
    return json.dumps({name: value for name, value in row.items() if name not in own}, sort_keys=True)


def _open(found: Remains) -> Iterator[str]:
    """What should be over and is not."""
    for run in found.tables["runs"]:
        if run["status"] in ("intent", "submitted") or not run["finished_at"]:
            yield f"the run {run['key']} {run['attempt']} is {run['status']}, finished at {run['finished_at']!r}"
    operations = sorted(found.tables["operations"], key=lambda row: str(row["started_at"]))
    if any(not operation["outcome"] for operation in operations[:-1]):
        yield "an operation was killed and does not say so"  # the last one may have had nothing left to do
    uids = Counter(row["uid"] for row in found.tables["resources"])
    if any(not uid or times > 1 for uid, times in uids.items()):
        yield "a resource has no id of its own"
    if any(not row["created_at"] or not row["updated_at"] for row in found.tables["resources"]):
        yield "a record has no times"
