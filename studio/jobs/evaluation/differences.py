"""What combinations of an evaluation gain over each other, from the scores of their rows.

Scores are kept in a file beside the predictions, so that jobs which share an evaluation come to the same as one job.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from studio.core.confidence import pairs
from studio.core.errors import JobError
from studio.core.jobresult import CombinationOutput, Difference
from studio.core.jobspec import EvaluationWork, JobSpec
from studio.core.metric_names import gain
from studio.jobs.evaluation import bootstrap, metrics, sureness
from studio.jobs.evaluation.metrics import Array, Scores
from studio.jobs.evaluation.sureness import Ranges


def keep(path: Path, scores: Scores) -> None:
    """Write scores, exactly as they are."""
    np.savez_compressed(path, allow_pickle=False, **scores)


def read(path: Path) -> dict[str, Array]:
    """Scores that were kept. Raises JobError when somebody removed them."""
    if not path.is_file():
        raise JobError(f"the scores of a combination are gone: {path}", "apply again: it is evaluated anew")
    with np.load(path, allow_pickle=False) as held:
        return {name: held[name] for name in held.files}


def between(spec: JobSpec, combinations: Sequence[CombinationOutput]) -> tuple[Difference, ...]:
    """Every pair that is compared, metric by metric; none when a combination kept no scores."""
    if len(combinations) < 2 or not all(each.scores for each in combinations):
        return ()
    scores = [read(spec.path(each.scores)) for each in combinations]
    drawn = [bootstrap.replicates(each) for each in scores]
    among = sureness.ranges(spec.work) if isinstance(spec.work, EvaluationWork) else sureness.PLAIN
    return tuple(
        difference
        for later, earlier in pairs(len(combinations))
        for difference in _gains((later, earlier), scores, drawn, among)
    )


def _gains(
    pair: tuple[int, int], scores: list[dict[str, Array]], drawn: list[dict[str, Array]], among: Ranges
) -> Iterator[Difference]:
    mine, other = (scores[number] for number in pair)
    values, others = metrics.values(mine), metrics.values(other)
    for name in (each for each in values if each in others):
        sign = gain(name, 1.0, 0.0)
        gains = sign * (drawn[pair[0]][name] - drawn[pair[1]][name])
        gains = gains[~np.isnan(gains)]
        exact = name == "exact_match"
        yield Difference(
            metric=name,
            combination=pair[0],
            than=pair[1],
            gain=gain(name, values[name], others[name]),
            intervals=sureness.of_gain(name, mine[name], other[name], gains, among),
            p_value=mcnemar(mine[name][:, 0], other[name][:, 0]) if exact else bootstrap.p_value(gains),
            test="McNemar" if exact else "paired bootstrap",
        )


def mcnemar(mine: Array, other: Array) -> float:
    """McNemar's test (1947), exact: rows that only one of both answers rightly are as likely to be either's."""
    won, lost = int((mine > other).sum()), int((mine < other).sum())
    return float(binomtest(won, won + lost).pvalue) if won + lost else 1.0
