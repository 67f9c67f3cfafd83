"""Names of the evaluation metrics, for rules and schemas that must not import an ML library."""

from __future__ import annotations

import math

HIGHER_IS_BETTER: dict[str, bool] = {
    "exact_match": True,
    "rouge1": True,
    "rouge2": True,
    "rougeL": True,
    "rougeLsum": True,
    "latency": False,
    "perplexity": False,
}
"""Metric to direction. Scores are means in [0, 1]; latency is seconds per row; perplexity is per expected token."""

RANGES: dict[str, tuple[float, float]] = {
    "exact_match": (0, 1),
    "rouge1": (0, 1),
    "rouge2": (0, 1),
    "rougeL": (0, 1),
    "rougeLsum": (0, 1),
    "latency": (0, math.inf),
    "perplexity": (1, math.inf),
}
"""Metric to the least and the greatest value it can have. Perplexity is the exponential of a mean that is never
negative."""


def gain(metric: str, value: float, baseline: float) -> float:
    """How much better ``value`` is than ``baseline``: above 0 is an improvement, whatever the metric's direction."""
    return value - baseline if HIGHER_IS_BETTER.get(metric, True) else baseline - value


EVALUATION_METRICS: tuple[str, ...] = tuple(HIGHER_IS_BETTER)
