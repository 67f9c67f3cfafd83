"""What one combination gains over another: the number, where it lies, and whether it may be chance, all of the same
rows."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from studio.core.confidence import CONFIDENCES
from studio.core.jobresult import Interval
from studio.core.metric_names import SHARE, gain
from studio.jobs.evaluation import bootstrap, metrics, sureness
from studio.jobs.evaluation.metrics import Array
from studio.jobs.evaluation.sureness import PLAIN, Ranges

Test = Literal["paired bootstrap", "McNemar", "exact"]


@dataclass(frozen=True, slots=True)
class Gain:
    """An improvement is above 0, whatever the metric's direction. ``p_value`` is of a gain of 0, two-sided."""

    value: float
    intervals: tuple[Interval, ...]
    p_value: float
    test: Test


@dataclass(frozen=True, slots=True)
class Side:
    """One combination: the scores of its rows, and the metric's replicates if they are known."""

    lines: Array
    drawn: Array


def of_gain(name: str, mine: Side, other: Side, among: Ranges = PLAIN) -> Gain | None:
    """From scores of the same rows. Those count that have a score of both; None without any."""
    both = metrics.scored(name, mine.lines) & metrics.scored(name, other.lines)
    rows = int(both.sum())
    if not rows:
        return None
    a, b = (_of(name, each, both) for each in (mine, other))
    values = [float(metrics.value(name, each.lines.sum(axis=0))) for each in (a, b)]
    value, sign = gain(name, *values), gain(name, 1.0, 0.0)
    if name == SHARE:
        each_row = (a.lines[:, 0] - b.lines[:, 0])[both]
        won, lost = int((each_row > 0).sum()), int((each_row < 0).sum())
        intervals = tuple(paired_shares(won, lost, rows, level) for level in CONFIDENCES)
        return Gain(value, intervals, mcnemar(won, lost), "McNemar")
    drawn = sign * (a.drawn - b.drawn)
    drawn = drawn[~np.isnan(drawn)]
    if name in among and sureness.is_alike(drawn):
        width = among[name][1] - among[name][0]
        told = tuple(sureness.unanimous(value, rows, (-width, width), level) for level in CONFIDENCES)
        return Gain(value, told, unanimous_p(value, rows, width), "exact")
    told = bootstrap.intervals(drawn, rows)
    if sureness.is_alike(drawn):
        return Gain(value, told, unanimous_p(value, rows), "exact")
    return Gain(value, told, bootstrap.p_value(drawn, rows), "paired bootstrap")


def _of(name: str, side: Side, rows: NDArray[np.bool_]) -> Side:
    """Without the rows that do not count."""
    if (metrics.scored(name, side.lines) == rows).all():
        return side
    lines = side.lines * rows[:, None]
    return Side(lines, bootstrap.replicates({name: lines})[name])


def mcnemar(won: int, lost: int) -> float:
    """McNemar's test (1947), exact: rows that only one of both answers rightly are as likely to be either's."""
    return float(binomtest(won, won + lost).pvalue) if won + lost else 1.0


def unanimous_p(value: float, rows: int, width: float = 0.0) -> float:
    """Where all rows gain alike: one minus the confidence at which ``sureness.unanimous`` reaches 0. Of gains of the
    whole ``width``, and of those without limits, it is that of the sign test."""
    if abs(value) < sureness.ALIKE:
        return 1.0
    return max(bootstrap.least_p(rows), min(1.0, 2 * (width / (width + abs(value))) ** rows))


def paired_shares(won: int, lost: int, rows: int, confidence: float) -> Interval:
    """Bonett and Price, Adjusted Wald confidence interval for a difference of binomial proportions based on paired
    data, 2012: one row is added to those that only one of both answers rightly, each way."""
    gained, missed = (won + 1) / (rows + 2), (lost + 1) / (rows + 2)
    spread = ((gained + missed - (gained - missed) ** 2) / (rows + 2)) ** 0.5
    half = NormalDist().inv_cdf((1 + confidence) / 2) * spread
    low, high = gained - missed - half, gained - missed + half
    return Interval(confidence=confidence, low=max(-1.0, low), high=min(1.0, high))
