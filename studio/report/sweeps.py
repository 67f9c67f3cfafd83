"""Sweeps in plans and in full: trials stand below their sweep, and of many the first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from studio.core.fingerprints import canonical
from studio.core.numerals import number
from studio.core.sweeps import SweepOutput, TrialOutput
from studio.inspection import Standing
from studio.plan.actions import Action
from studio.plan.spend import asking, bill
from studio.report import costs
from studio.report.findings import plural
from studio.report.plain import plain
from studio.report.tables import table
from studio.resources.base import Resource
from studio.resources.fine_tuning_job import FineTuningJob
from studio.resources.matrix import DEFAULT_METRIC, LOWER, Select

SHOWN = 8
"""Trials of a sweep that a plan shows; the others are counted."""


@dataclass(frozen=True, slots=True)
class Row:
    """One action of a plan, or ``folded`` ones that are only counted. A trial ``below`` its sweep follows it."""

    action: Action
    below: bool = False
    folded: tuple[Action, ...] = ()


def arranged(actions: Sequence[Action]) -> Iterator[Row]:
    """The actions in their order, but for trials, which follow their sweep where that is among them."""
    shown = {action.ref for action in actions if action.trials}
    trials: dict[Any, list[Action]] = {}
    for action in actions:
        if action.sweep in shown:
            trials.setdefault(action.sweep, []).append(action)
    for action in actions:
        if action.sweep in shown:
            continue
        yield Row(action)
        theirs = trials.get(action.ref, [])
        first = theirs[:SHOWN] if len(theirs) > SHOWN + 1 else theirs
        yield from (Row(each, below=True) for each in first)
        if rest := tuple(theirs[len(first) :]):
            yield Row(action, below=True, folded=rest)


def folded(actions: Sequence[Action]) -> str:
    """``… and 56 more trials: 50 to create, 6 to reuse``."""
    counted = Counter(action.verb.value for action in actions)
    verbs = ", ".join(f"{count} to {verb}" for verb, count in sorted(counted.items()))
    return f"… and {plural(len(actions), 'more trial')}: {verbs}"


def choice(action: Action, resource: Resource | None, pending: Iterable[Action]) -> str:
    """What a sweep does in a plan, and what its trials will take together, where that is known."""
    words = f"best of {plural(len(action.trials), 'trial')}"
    if isinstance(resource, FineTuningJob):
        wanted = resource.spec.select or Select()
        words += f" by the {'lowest' if wanted.better == LOWER else 'highest'} {wanted.metric}"
    theirs = [each for each in pending if each.sweep == action.ref and each.dispatches]
    sum = bill(each.spend or asking(each.resources) for each in theirs if each.resources)
    return f"{words}; {costs.together(sum)}" if sum.jobs > sum.unknown else words


def headline(sweep: dict[str, Any]) -> str:
    """The best trial and its number."""
    made, best = SweepOutput.model_validate(sweep), taken(sweep)
    return f"best of {len(made.trials)}: {best.name}, {made.metric} {number(best.metrics[made.metric])}"


def taken(sweep: dict[str, Any]) -> TrialOutput:
    """The trial that became the sweep's own."""
    made = SweepOutput.model_validate(sweep)
    return next(each for each in made.trials if each.fingerprint == made.fingerprint)


def choice_of(standing: Standing) -> SweepOutput | None:
    """How a sweep chose, as it is recorded; None for one that did not yet, and for what is no sweep."""
    output = (standing.record.outcome.get("output") or {}) if standing.record else {}
    return SweepOutput.model_validate(output["sweep"]) if output.get("sweep") else None


def grid(standing: Standing) -> list[list[str]]:
    """A sweep's trials below their heads: their values, how they stand, what they measured; the first column marks the
    one that was taken. Empty for what has no trials."""
    if not standing.trials:
        return []
    made = choice_of(standing)
    metrics = list(dict.fromkeys(filter(None, (made.metric if made else "", DEFAULT_METRIC, "train_loss"))))
    keys = list(standing.trials[0].values)
    mark = "taken" if beside(standing) else "best"
    rows = [["", "trial", *keys, "state", *metrics]]
    for each in standing.trials:
        record = each.standing.record
        measured = ((record.outcome.get("output") or {}) if record else {}).get("metrics", {})
        taken = made is not None and record is not None and record.fingerprint == made.fingerprint
        values = [
            each.values[key] if isinstance(each.values[key], str) else canonical(each.values[key]) for key in keys
        ]
        numbers = [number(measured[name]) if name in measured else "-" for name in metrics]
        rows.append([mark if taken else "", each.standing.ref.name, *values, each.standing.state, *numbers])
    return rows


def beside(standing: Standing) -> str:
    """What to know where the recorded choice was made among other trials than there are now; "" where it was not."""
    made = choice_of(standing)
    present = {each.standing.record.fingerprint if each.standing.record else "" for each in standing.trials}
    if made is None or not present or present == {each.fingerprint for each in made.trials}:
        return ""
    earlier = headline(made.model_dump())
    return f"the trials as they stand now, among which nothing is chosen yet; recorded is the {earlier}"


def compared(standing: Standing) -> list[str]:
    """A sweep's trials as a table."""
    rows = [[plain(cell) for cell in row] for row in grid(standing)]
    if not rows:
        return []
    words = beside(standing)
    return ["", *([f"  {plain(words)}"] if words else []), *table(rows)]
