"""The evaluation metrics: one entry each in METRICS, named in core.metric_names.

A metric is a number made of sums over rows, so that the same row scores give it for all rows, for those of a slice,
and for rows drawn anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from studio.core.errors import JobError
from studio.core.metric_names import EVALUATION_METRICS
from studio.core.suggest import did_you_mean
from studio.jobs.evaluation import confusion, texts

Array = NDArray[np.float64]
Scores = Mapping[str, Array]
"""Metric to one line per row: the numbers that are summed."""
LARGEST_EXPONENT = 700.0
"""exp() of more overflows a float."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Predictions beside what was expected; ``seconds`` is the time of generation.

    ``losses`` computes for each row the loss of its expected answer in nats, summed, and the number of its tokens;
    only perplexity asks for it. ``tokens`` counts those of each prediction.
    """

    predictions: tuple[str, ...]
    expected: tuple[str, ...]
    seconds: float
    losses: Callable[[], Sequence[tuple[float, int]]]
    tokens: Callable[[], Sequence[int]] = field(default=tuple)


@dataclass(frozen=True, slots=True)
class Metric:
    """``rows`` gives each row's line of numbers, ``value`` the metric from their sums, along the last axis."""

    rows: Callable[[Answers], Array]
    value: Callable[[Array], Array]


def _means(values: Sequence[float]) -> Array:
    return np.column_stack([np.asarray(values, dtype=float), np.ones(len(values))])


def _mean(sums: Array) -> Array:
    """Of the rows that have a score; NaN of none."""
    weights = sums[..., 1]
    return np.divide(sums[..., 0], weights, out=np.full_like(weights, np.nan), where=weights > 0)


def _perplexity(sums: Array) -> Array:
    """exp of the mean loss per token of the expected answers, given their prompts; NaN without a token."""
    return np.exp(np.minimum(_mean(sums), LARGEST_EXPONENT))


def _of_texts(score: Callable[[str, str], float]) -> Metric:
    """The mean of a score of (expected, prediction)."""

    def rows(answers: Answers) -> Array:
        return _means([score(*pair) for pair in zip(answers.expected, answers.predictions, strict=True)])

    return Metric(rows, _mean)


METRICS: dict[str, Metric] = {
    "exact_match": _of_texts(texts.exact_match),
    "rouge1": _of_texts(partial(texts.rouge, kind="rouge1")),
    "rouge2": _of_texts(partial(texts.rouge, kind="rouge2")),
    "rougeL": _of_texts(partial(texts.rouge, kind="rougeL")),
    "rougeLsum": _of_texts(partial(texts.rouge, kind="rougeLsum")),
    "bleu": _of_texts(texts.bleu),
    confusion.MACRO_F1: Metric(confusion.rows, confusion.macro_f1),
    "perplexity": Metric(lambda answers: np.array(answers.losses(), dtype=float), _perplexity),
    "token_count": Metric(lambda answers: _means(answers.tokens()), _mean),
    "ari_grade_level": Metric(lambda answers: _means(list(map(texts.ari_grade_level, answers.predictions))), _mean),
}
WHOLE: dict[str, Callable[[Answers], float]] = {"latency": lambda answers: answers.seconds / len(answers.expected)}
"""What no single row has; latency is seconds of generation per row, mean."""


def value(name: str, sums: Array) -> Array:
    """A metric from the sums of its rows' lines; one that is none of METRICS is a judge's, the mean of its scores."""
    return METRICS[name].value(sums) if name in METRICS else _mean(sums)


def scored(name: str, lines: Array) -> NDArray[np.bool_]:
    """Which rows have a score: a line ends with its weight, but for macro F1, of which every row counts."""
    return np.ones(len(lines), dtype=bool) if name == confusion.MACRO_F1 else lines[:, -1] > 0


def check(names: tuple[str, ...]) -> None:
    """Raises JobError for a metric that is not in METRICS."""
    for name in names:
        if name not in EVALUATION_METRICS:
            raise JobError(f"unknown metric {name!r}", did_you_mean(name, EVALUATION_METRICS))


def score(names: tuple[str, ...], answers: Answers) -> dict[str, Array]:
    """The rows' scores for every metric that was asked for and is of rows."""
    return {name: METRICS[name].rows(answers) for name in names if name in METRICS}


def values(scores: Scores) -> dict[str, float]:
    """The metrics over all rows; those of which no row has a score are left out."""
    found = {name: float(value(name, lines.sum(axis=0))) for name, lines in scores.items()}
    return {name: each for name, each in found.items() if not np.isnan(each)}


def compute(names: tuple[str, ...], answers: Answers, scores: Scores) -> dict[str, float]:
    """The metrics asked for, in that order, but those that are no number, and always ``rows_per_second``."""
    known = values(scores) | {name: WHOLE[name](answers) for name in names if name in WHOLE}
    pace = len(answers.expected) / max(answers.seconds, 1e-9)
    return {name: known[name] for name in names if name in known} | {"rows_per_second": pace}


def correct(answers: Answers) -> list[bool]:
    """Row by row, whether the prediction is the expected answer."""
    return [bool(texts.exact_match(a, b)) for a, b in zip(answers.expected, answers.predictions, strict=True)]
