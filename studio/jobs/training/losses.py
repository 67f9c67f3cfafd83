"""Arithmetic on logged losses."""

from __future__ import annotations

import math


def mean_by_step(losses: list[tuple[int, float]]) -> float:
    """Mean over optimizer steps: each logged loss is the mean of the steps since the one before."""
    weighted, last = 0.0, 0
    for step, loss in losses:
        weighted, last = weighted + loss * (step - last), step
    return weighted / last if last else math.nan
