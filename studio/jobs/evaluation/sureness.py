"""Intervals of metrics and of gains: exact where rows are right or wrong, of the bootstrap elsewhere.

The bootstrap knows only rows that were asked. When all of them score the same it would say that no other row can score
differently, however few they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist

import numpy as np
from scipy.stats import beta

from studio.core.confidence import CONFIDENCES
from studio.core.jobresult import Interval
from studio.core.jobspec import EvaluationWork
from studio.core.metric_names import SCORES, SHARE
from studio.jobs.evaluation import bootstrap, metrics
from studio.jobs.evaluation.confusion import MACRO_F1
from studio.jobs.evaluation.metrics import Array

Ranges = Mapping[str, tuple[float, float]]
"""The least and the greatest value, of metrics that have such limits."""
PLAIN: Ranges = dict.fromkeys(sorted(SCORES | {MACRO_F1}), (0.0, 1.0))
ALIKE = 1e-9
"""Scores that differ by less are the same, but for how they were summed."""


def ranges(work: EvaluationWork) -> Ranges:
    """Of the metrics of an evaluation, its judges' among them."""
    return {**PLAIN, **{each.name: (float(each.scale[0]), float(each.scale[1])) for each in work.judges}}


def of(
    name: str, lines: Array, drawn: Array, among: Ranges = PLAIN, levels: tuple[float, ...] = CONFIDENCES
) -> tuple[Interval, ...]:
    """Where a metric lies, from the scores of its rows and their replicates."""
    counted = metrics.scored(name, lines)
    rows, known = int(counted.sum()), drawn[~np.isnan(drawn)]
    if name == SHARE:
        return tuple(_share(int(lines[counted, 0].sum()), rows, level) for level in levels)
    if name in among and rows and is_alike(known):
        value = float(metrics.value(name, lines.sum(axis=0)))
        return tuple(unanimous(value, rows, among[name], level) for level in levels)
    return bootstrap.intervals(drawn, rows, levels)


def is_alike(values: Array) -> bool:
    """Whether all are the same; there is at least one."""
    return float(np.ptp(values)) < ALIKE


def told(value: float, error: float, rows: int, confidence: float, is_share: bool) -> Interval | None:
    """Where a mean lies of which only its standard error is told, 0 for none; exact where it is a share of rows. What
    is no finite number lies nowhere."""
    if not math.isfinite(value):
        return None
    hits = round(value * rows)
    if is_share and rows and abs(value * rows - hits) < 1e-6:
        return _share(hits, rows, confidence)
    if not math.isfinite(error) or error <= 0:
        return None
    half = NormalDist().inv_cdf((1 + confidence) / 2) * error
    return Interval(confidence=confidence, low=value - half, high=value + half)


def _share(hits: int, rows: int, confidence: float) -> Interval:
    """Clopper and Pearson, The use of confidence or fiducial limits illustrated in the case of the binomial, 1934:
    holds the truth at least as often as it says, with any number of rows."""
    tail = (1 - confidence) / 2
    low = float(beta.ppf(tail, hits, rows - hits + 1)) if hits else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, rows - hits)) if hits < rows else 1.0
    return Interval(confidence=confidence, low=low, high=high)


def unanimous(score: float, rows: int, limits: tuple[float, float], confidence: float) -> Interval:
    """The mean where all rows score the same: at most the share that Clopper and Pearson's limit leaves to other
    scores would score otherwise, and no more than the limits of one row."""
    others = _share(0, rows, confidence).high
    low, high = score - others * (score - limits[0]), score + others * (limits[1] - score)
    return Interval(confidence=confidence, low=low, high=high)
