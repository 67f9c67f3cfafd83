"""What a page is made of: a project as it is recorded and declared, and what a resource's job left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from studio.core.references import Ref
from studio.inspection import Standing
from studio.report.graphs import Picture
from studio.state.base import Operation, Record, Run
from studio.traces import Asked, Matrix, Told


@dataclass(frozen=True, slots=True)
class View:
    """One environment of a project. ``at_work`` is the id of the operation that is under way."""

    project: str
    environment: str
    standings: Mapping[Ref, Standing]
    picture: Picture
    operations: Sequence[Operation] = ()
    at_work: str = ""
    runs: Sequence[Run] = ()
    courses: Mapping[Ref, Told] = field(default_factory=dict)

    @property
    def records(self) -> dict[Ref, Record]:
        """What is recorded, sorted."""
        return {ref: standing.record for ref, standing in sorted(self.standings.items()) if standing.record}

    def author(self, ref: Ref) -> Operation | None:
        """The operation that wrote a resource's record as it is; None where it is too long ago."""
        record = self.records.get(ref)
        if record is None:
            return None
        named = (each for each in self.operations if str(ref) in each.summary)
        return next((each for each in named if each.started_at <= record.updated_at), None)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the job of one resource left; each None or empty where it is gone. Of an evaluation, one answer sheet and
    one matrix for each combination."""

    spec: Mapping[str, Any] = field(default_factory=dict)
    who: Sequence[str] = ()
    """The combinations of the answer sheets; of a training those of an evaluation that asked its adapter."""
    sheets: Sequence[Sequence[Asked] | None] = ()
    matrices: Sequence[Matrix | None] = ()
