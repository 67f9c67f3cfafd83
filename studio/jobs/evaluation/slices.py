"""Slices of an evaluation: rows with the same value in a column, each column by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studio.core.confidence import SHOWN
from studio.core.errors import JobError
from studio.core.jobresult import SliceOutput
from studio.core.jobspec import EvaluationWork
from studio.core.metric_names import MOST_SLICES, OF_BATCHES
from studio.core.secrets import redact
from studio.jobs.evaluation import bootstrap, metrics, sureness
from studio.jobs.evaluation.metrics import Scores
from studio.jobs.evaluation.sureness import PLAIN, Ranges

MOST_NUMBERS = 20_000
"""Metrics of all slices and combinations: what a record may reasonably hold."""
LONGEST = 80
"""Characters of a value that are kept."""
NONE = "(none)"
"""The value of rows that have none."""


@dataclass(frozen=True, slots=True)
class Slice:
    """The numbers of the rows that have ``value`` in ``column``."""

    column: str
    value: str
    rows: NDArray[np.intp]


def cut(columns: Mapping[str, Sequence[object]], work: EvaluationWork) -> tuple[Slice, ...]:
    """Slices in the order of the columns, then of their values. Raises JobError when there are too many to read."""
    found = tuple(each for column, cells in columns.items() for each in _of_column(column, cells))
    computed = sum(name not in OF_BATCHES for name in work.metrics) + len(work.judges)
    numbers = len(found) * computed * len(work.combinations)
    if numbers > MOST_NUMBERS:
        raise JobError(
            f"slice_by: {len(found)} slices of {len(work.combinations)} combinations with {computed} metrics make "
            f"{numbers:,} numbers; at most {MOST_NUMBERS:,} are kept",
            "slice by fewer columns, or evaluate fewer combinations at once",
        )
    return found


def _of_column(column: str, cells: Sequence[object]) -> list[Slice]:
    values = np.array([_text(cell) for cell in cells], dtype=object)
    different = sorted(set(values))
    if len(different) > MOST_SLICES:
        raise JobError(
            f"slice_by: the column {column!r} has {len(different):,} different values; at most {MOST_SLICES} make "
            "slices",
            "slice by a column that sorts rows into few groups",
        )
    return [Slice(column, value, np.flatnonzero(values == value)) for value in different]


def _text(cell: object) -> str:
    """What looks like a token is hidden: values go into records, and to the tracking server."""
    text = "" if cell is None else redact(" ".join(str(cell).split()))
    return NONE if not text else text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def measured(slices: Sequence[Slice], scores: Scores, among: Ranges = PLAIN) -> tuple[SliceOutput, ...]:
    """The metrics of each slice that are of rows, and how sure they are."""
    return tuple(_measured(each, scores, among) for each in slices)


def _measured(part: Slice, scores: Scores, among: Ranges) -> SliceOutput:
    mine = {name: lines[part.rows] for name, lines in scores.items()}
    drawn = bootstrap.replicates(mine)
    values = metrics.values(mine)
    return SliceOutput(
        column=part.column,
        value=part.value,
        rows=len(part.rows),
        metrics=values,
        intervals={
            name: each for name in values for each in sureness.of(name, mine[name], drawn[name], among, (SHOWN,))
        },
    )
