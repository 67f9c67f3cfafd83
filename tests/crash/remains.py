"""What a life left behind, read past studio, and the faults in it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, select
from sqlalchemy.pool import NullPool

from studio.state.schema import metadata
from tests.crash.backend import AGAIN, ASKED, EFFECT, FOLDER, JOURNAL

Row = dict[str, Any]
HALF = re.compile(r"/\.[^/]+\.\d+$")
"""A file that was being written by a killed process: it has that process's number and is never read."""
NEVER_STARTED = "the job was never started"
OWN = {
    "resources": ("uid", "created_at", "updated_at"),
    "artifacts": ("created_at",),
    "runs": ("submitted_at", "finished_at"),
}
"""Tables that must be equal to those of an undisturbed life, but for these columns."""


@dataclass(frozen=True, slots=True)
class Remains:
    """The backend's journal, the rows of the state's tables, and the names of the project's files."""

    journal: list[Row]
    tables: dict[str, list[Row]]
    files: set[str]
    integrity: str = "ok"

    @property
    def effects(self) -> Counter[tuple[str, int]]:
        """How often each attempt of each job came into being."""
        return Counter((line["key"], line["attempt"]) for line in self.journal if line["what"] == EFFECT)


def read(root: Path, state: str = "") -> Remains:
    journal = root / FOLDER / JOURNAL
    lines = [json.loads(line) for line in journal.read_text("utf-8").splitlines()] if journal.exists() else []
    engine = create_engine(state or f"sqlite:///{root / '.studio' / 'state.db'}", poolclass=NullPool)
    with engine.connect() as connection:
        tables = {
            name: [_anywhere(dict(row), root) for row in connection.execute(select(table)).mappings()]
            for name, table in metadata.tables.items()
        }
        check = None if state else connection.exec_driver_sql("PRAGMA integrity_check").scalar()
    names = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    files = {name for name in names if not name.startswith((FOLDER, ".studio/state.db")) and not HALF.search(name)}
    return Remains(lines, tables, files, str(check or "ok"))


def _anywhere(row: Row, root: Path) -> Row:
    """A row without the place where the project happens to be."""
    found: Row = json.loads(json.dumps(row, default=str).replace(str(root), "{root}"))
    return found


def faults(found: Remains, needed: Remains, allowed: Remains) -> Iterator[str]:
    """What is wrong with a life that ended well, in words. ``allowed`` has at least what is ``needed``."""
    if found.integrity != "ok":
        yield f"the database is damaged: {found.integrity}"
    yield from _submissions(found, needed, allowed)
    for table, columns in OWN.items():
        yield from _rows(table, columns, found, needed, allowed)
    yield from (f"the file {name} is missing" for name in sorted(needed.files - found.files))
    yield from (f"the file {name} was left" for name in sorted(found.files - allowed.files))
    yield from _open(found)


def _submissions(found: Remains, needed: Remains, allowed: Remains) -> Iterator[str]:
    for job, times in (found.effects - allowed.effects).items():
        yield f"{job} was submitted {times} times more than needed"
    for job in needed.effects - found.effects:
        yield f"{job} was never submitted"
    begun: set[tuple[str, int]] = set()
    for line in found.journal:
        job = (line["key"], line["attempt"])
        if line["what"] == AGAIN or (line["what"] == ASKED and job in begun):
            yield f"{job} was submitted although it existed: {line['what']}"
        if line["what"] == EFFECT:
            begun.add(job)


def _rows(table: str, own: Sequence[str], found: Remains, needed: Remains, allowed: Remains) -> Iterator[str]:
    ours, least, most = (Counter(_text(row, own) for row in each.tables[table]) for each in (found, needed, allowed))
    for text in sorted((least - ours).elements()):
        yield f"{table} lacks {text}"
    if table == "runs":  # one whose manifest moved on may have failed to begin, which is for it alone to say
        ours = Counter(_text(row, own) for row in found.tables[table] if row["error"] != NEVER_STARTED)
    for text in sorted((ours - most).elements()):
        yield f"{table} has {text}"


def _text(row: Row, own: Sequence[str]) -> str:
    return json.dumps({name: value for name, value in row.items() if name not in own}, sort_keys=True, default=str)


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
