"""The evaluation metrics: one function each, listed in METRICS, named in core.metric_names."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from rouge_score import rouge_scorer
from rouge_score.tokenizers import Tokenizer

from studio.core.errors import JobError
from studio.core.metric_names import EVALUATION_METRICS
from studio.core.suggest import did_you_mean

WORD = re.compile(r"[^\W_]+")
LARGEST_EXPONENT = 700.0
"""exp() of more overflows a float."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Predictions beside what was expected; ``seconds`` is the time of generation.

    ``loss`` computes the mean loss of the expected answers in nats per token; only perplexity asks for it.
    """

    predictions: tuple[str, ...]
    expected: tuple[str, ...]
    seconds: float
    loss: Callable[[], float]


def exact_match(answers: Answers) -> float:
    """Share of predictions that equal the expected answer, white space at both ends ignored."""
    return sum(correct(answers)) / len(answers.expected)


def rouge(answers: Answers, kind: str) -> float:
    """Mean F1 of ROUGE, without stemming (rouge_score 0.1.2; Lin, 2004); words are those of any script."""
    scorer = rouge_scorer.RougeScorer([kind], tokenizer=_Words())
    pairs = zip(answers.expected, answers.predictions, strict=True)
    return sum(float(scorer.score(expected, text)[kind].fmeasure) for expected, text in pairs) / len(answers.expected)


def latency(answers: Answers) -> float:
    """Seconds of generation per row, mean."""
    return answers.seconds / len(answers.expected)


def perplexity(answers: Answers) -> float:
    """exp of the mean loss per token of the expected answers, given their prompts."""
    return math.exp(min(answers.loss(), LARGEST_EXPONENT))


METRICS: dict[str, Callable[[Answers], float]] = {
    "exact_match": exact_match,
    "rouge1": partial(rouge, kind="rouge1"),
    "rouge2": partial(rouge, kind="rouge2"),
    "rougeL": partial(rouge, kind="rougeL"),
    "rougeLsum": partial(rouge, kind="rougeLsum"),
    "latency": latency,
    "perplexity": perplexity,
}


def check(names: tuple[str, ...]) -> None:
    """Raises JobError for a metric that is not in METRICS."""
    for name in names:
        if name not in METRICS:
            raise JobError(f"unknown metric {name!r}", did_you_mean(name, EVALUATION_METRICS))


def compute(names: tuple[str, ...], answers: Answers) -> dict[str, float]:
    """The metrics asked for, and always ``rows_per_second``."""
    values = {name: METRICS[name](answers) for name in names}
    return values | {"rows_per_second": len(answers.expected) / max(answers.seconds, 1e-9)}


def correct(answers: Answers) -> list[bool]:
    """Row by row, whether the prediction is the expected answer."""
    return [a.strip() == b.strip() for a, b in zip(answers.predictions, answers.expected, strict=True)]


class _Words(Tokenizer):
    """Lower-case words. The package's own tokenizer knows only a-z and 0-9: any other script would score 0."""

    def tokenize(self, text: str) -> list[str]:
        return WORD.findall(text.lower())
