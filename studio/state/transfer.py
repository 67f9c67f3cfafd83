"""What an import of records does, or would do."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

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


@dataclass(slots=True)
class Move:
    """Manifests that were written and what was taken over under them. ``aside`` are jobs that would run, with the
    reason; ``errors`` are those of the project."""

    folder: Path
    written: list[Ref] = field(default_factory=list)
    aside: dict[Ref, str] = field(default_factory=dict)
    adopted: dict[str, str] = field(default_factory=dict)
    failed: dict[Ref, str] = field(default_factory=dict)
    errors: int = 0
