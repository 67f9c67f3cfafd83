"""What an import of records does, or would do."""

from __future__ import annotations

from dataclasses import dataclass

from studio.core.references import Ref
from studio.state.base import Record
from studio.state.cells import Fault
from studio.state.interchange import Snapshot


@dataclass(frozen=True, slots=True)
class Transfer:
    """What an import does: records made, those that were there, rows that failed, and what is worth a look."""

    records: tuple[Record, ...]
    there: tuple[Ref, ...]
    faults: tuple[Fault, ...]
    notes: tuple[Fault, ...]
    rest: Snapshot
    """Artifacts, runs and operations that come with the records."""
