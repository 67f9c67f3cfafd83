"""What combinations of an evaluation gain over each other, from the scores of their rows.

Scores are kept in a file beside the predictions, so that jobs which share an evaluation come to the same as one job.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from studio.core.confidence import pairs
from studio.core.errors import JobError
from studio.core.jobresult import CombinationOutput, Difference
from studio.core.jobspec import EvaluationWork, JobSpec
from studio.jobs.evaluation import bootstrap, gains, metrics, sureness
from studio.jobs.evaluation.gains import Side
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
    names = [metrics.values(scores[number]) for number in pair]
    for name in (each for each in names[0] if each in names[1]):
        mine, other = (Side(scores[number][name], drawn[number][name]) for number in pair)
        found = gains.of_gain(name, mine, other, among)
        if found:
            yield Difference(
                metric=name,
                combination=pair[0],
                than=pair[1],
                gain=found.value,
                intervals=found.intervals,
                p_value=found.p_value,
                test=found.test,
            )
