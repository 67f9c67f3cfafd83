"""Names of the evaluation metrics, for rules and schemas that must not import an ML library."""

from __future__ import annotations

import math

HIGHER_IS_BETTER: dict[str, bool] = {
    "exact_match": True,
    "rouge1": True,
    "rouge2": True,
    "rougeL": True,
    "rougeLsum": True,
    "bleu": True,
    "macro_f1": True,
    "perplexity": False,
    "token_count": False,
    "ari_grade_level": False,
    "latency": False,
}
"""Metric to direction. Scores are means in [0, 1]; perplexity is per expected token; latency is seconds per row. A
shorter answer costs less, and one of a lower grade is easier to read."""

RANGES: dict[str, tuple[float, float]] = {
    "exact_match": (0, 1),
    "rouge1": (0, 1),
    "rouge2": (0, 1),
    "rougeL": (0, 1),
    "rougeLsum": (0, 1),
    "bleu": (0, 1),
    "macro_f1": (0, 1),
    "perplexity": (1, math.inf),
    "token_count": (0, math.inf),
    "ari_grade_level": (-16.22, math.inf),
    "latency": (0, math.inf),
}
"""Metric to the least and the greatest value it can have. Perplexity is the exponential of a mean that is never
negative; the lowest grade is that of one word of one letter."""

SHARE = "exact_match"
"""The metric that a row has or has not."""

SCORES = frozenset({"exact_match", "rouge1", "rouge2", "rougeL", "rougeLsum", "bleu"})
"""Metrics that are means of rows, each of which scores from 0 to 1."""

OF_BATCHES = frozenset({"latency"})
"""Metrics that no single row has: rows are answered in batches, and share their time."""


MOST_SLICES = 50
"""Different values of a column to slice by; with more, hardly a slice has rows enough to say anything."""

LOWER_OF_TASKS = frozenset({"perplexity", "word_perplexity", "byte_perplexity", "bits_per_byte", "brier_score", "ter"})
"""Metrics of lm-evaluation-harness that are better when they are lower; theirs are named ``task/metric``."""


def gain(metric: str, value: float, baseline: float) -> float:
    """How much better ``value`` is than ``baseline``: above 0 is an improvement, whatever the metric's direction."""
    task, _, name = metric.partition("/")
    rises = name.partition("/")[0] not in LOWER_OF_TASKS if name else HIGHER_IS_BETTER.get(task, True)
    return value - baseline if rises else baseline - value


EVALUATION_METRICS: tuple[str, ...] = tuple(HIGHER_IS_BETTER)
OF_ROWS: tuple[str, ...] = tuple(name for name in EVALUATION_METRICS if name not in OF_BATCHES)
"""Metrics that are known row by row, and so of any choice of rows."""
