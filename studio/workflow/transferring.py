"""State as a file that others read, and the way back: from an export of ours, or of the old studio's database."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from studio.core.errors import UsageError
from studio.load import commit
from studio.load.project import Loaded, shipped_defaults
from studio.resources.base import stored
from studio.state import interchange
from studio.state.base import Record, RecordStatus, StateReader, StateStore
from studio.state.cells import Fault
from studio.state.guide import TABLE_OF
from studio.state.guide_export import IMPORTED, said
from studio.state.guide_import import Found
from studio.state.transfer import Transfer
from studio.workflow import editing, places
from studio.workflow.editing import Summary

COMMAND = "state import"


def export(loaded: Loaded) -> str:
    """Everything that state holds of the environment, as the guide's JSON."""
    state = places.open_state(loaded)
    operations = reversed(state.operations(sys.maxsize))
    return interchange.to_text(
        interchange.Snapshot(
            tuple(state.records().values()), tuple(state.artifacts()), tuple(state.runs()), tuple(operations)
        )
    )


def read_tables(file: Path) -> Mapping[str, list[object]]:
    """The tables in a file; raises UsageError for what is no export."""
    try:
        with file.open("rb") as stream:
            return interchange.parse(stream.read(interchange.MAX_BYTES + 1))
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}", interchange.EXPECTED) from error


def preview(loaded: Loaded, tables: Mapping[str, list[object]]) -> Transfer:
    """What an import would do. Writes nothing."""
    return _transfer(loaded, tables, places.open_state(loaded))


def bring_in(loaded: Loaded, tables: Mapping[str, list[object]]) -> Transfer:
    """Import everything that can be, in one transaction."""
    done: list[Transfer] = []

    def change(state: StateStore) -> Summary:
        found = _transfer(loaded, tables, state)
        done.append(found)
        if not found.records:
            return {}
        state.restore(found.records, found.rest.artifacts, found.rest.runs, found.rest.operations)
        return {str(record.ref): "imported" for record in found.records}

    editing.edit(loaded, COMMAND, change)
    return done[0]


def _transfer(loaded: Loaded, tables: Mapping[str, list[object]], state: StateReader) -> Transfer:
    records = state.records()
    known = {(ref.kind, record.uid): ref for ref, record in records.items()}
    incoming = interchange.read(tables, loaded.environment, {*records, *shipped_defaults()}, known)
    said_here = commit.commit(loaded.root, os.environ)
    made = [*incoming.snapshot.records, *(_record(found, said_here) for found in incoming.found)]
    new = tuple(record for record in made if record.ref not in records)
    there = [record.ref for record in made if records.get(record.ref) == record]
    clashing = [record for record in made if record.ref in records and records[record.ref] != record]
    faults = [Fault("studio_records", str(each.ref), _clash(each, records[each.ref])) for each in clashing]
    return Transfer(
        new, tuple(sorted({*there, *incoming.there})), (*incoming.faults, *faults), incoming.notes,
        replace(incoming.snapshot, records=()),
    )  # fmt: skip


def _clash(incoming: Record, here: Record) -> str:
    if incoming.uid == here.uid:
        return "it is recorded here already, and the two differ; what is here stays"
    return f"another one is recorded here under that name, with uid {here.uid}; move or forget it first"


def _record(found: Found, said_here: str) -> Record:
    """A row of the guide as a record. What it was made of is not known, so that the next apply looks at it anew."""
    resource = found.resource
    spec, metadata, now = stored(resource.spec), stored(resource.metadata), places.now()
    origin = {"table": TABLE_OF[resource.kind], "rows": list(found.rows), "said": said(spec, metadata)}
    return Record(
        resource.ref, found.uid, spec, metadata, "", {}, RecordStatus.READY, found.facts, {IMPORTED: origin},
        commit=said_here, created_at=now, updated_at=now,
    )  # fmt: skip
