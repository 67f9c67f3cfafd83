"""Rows drawn anew: how far a metric moves when other rows of the same kind are asked.

The percentile method (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13). Draws depend on the
number of rows alone, so combinations that were asked the same rows are drawn alike: the difference of two replicates is
one of the paired bootstrap (Koehn, Statistical Significance Tests for Machine Translation Evaluation, 2004), wherever
they were computed.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from studio.core.confidence import CONFIDENCES
from studio.core.jobresult import Interval
from studio.core.jobspec import SEED
from studio.jobs.evaluation.metrics import Array, Scores, value

REPLICATES = 2000
"""Efron and Tibshirani (chapter 12) ask for 1000 or more where the ends of an interval count."""
LEAST_ROWS = 2
CELLS = 4_000_000
"""Rows × replicates in memory at once: 32 MB."""


def replicates(scores: Scores) -> dict[str, Array]:
    """For each metric its value in every replicate."""
    if not scores:
        return {}
    names, lines = list(scores), list(scores.values())
    ends = np.cumsum([line.shape[1] for line in lines])[:-1]
    sums = np.concatenate([counts @ np.hstack(lines) for counts in _draws(len(lines[0]))])
    return {name: value(name, each) for name, each in zip(names, np.split(sums, ends, axis=1), strict=True)}


def _draws(rows: int) -> Iterator[Array]:
    """How often each row is drawn, one line for each replicate."""
    random = np.random.default_rng(SEED)
    together = max(1, CELLS // rows)
    for start in range(0, REPLICATES, together):
        number = min(together, REPLICATES - start)
        drawn = random.integers(rows, size=(number, rows)) + rows * np.arange(number)[:, None]
        yield np.bincount(drawn.ravel(), minlength=number * rows).reshape(number, rows).astype(float)


def intervals(values: Array, rows: int, levels: tuple[float, ...] = CONFIDENCES) -> tuple[Interval, ...]:
    """Between the quantiles of the replicates that leave out half of the rest on each side. Replicates without a row
    that has a score do not count; of a single row there are none: drawn anew, it is the same row."""
    if rows < LEAST_ROWS:
        return ()
    return tuple(
        Interval(confidence=level, low=float(low), high=float(high))
        for level in levels
        for low, high in [np.nanquantile(values, [(1 - level) / 2, (1 + level) / 2])]
    )


def p_value(gains: Array, rows: int) -> float:
    """Of a gain of 0: twice the smaller share of replicates on one side of it, that of the data among them; no less
    than of so few rows can be said."""
    beyond = min(int((gains <= 0).sum()), int((gains >= 0).sum()))
    return max(least_p(rows), min(1.0, 2 * (beyond + 1) / (len(gains) + 1)))


def least_p(rows: int) -> float:
    """What the sign test (Dixon and Mood, 1946) gives when every row gains: no less is ever known of so many rows."""
    return float(min(1.0, 2 * 0.5**rows))
