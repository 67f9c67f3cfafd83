"""What an evaluation measured, as text: combinations beside the baseline, slices, gates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import click

from studio.core.confidence import SHOWN
from studio.core.jobresult import CombinationOutput, EvaluationOutput, Interval, SliceOutput
from studio.core.metric_names import gain
from studio.core.numerals import number, signed
from studio.core.verdicts import Verdict
from studio.report.findings import plural
from studio.report.plain import plain
from studio.report.tables import table

GAINS = "  in brackets the gain over the baseline: above 0 is better, also where lower numbers are"


def comparison(output: dict[str, Any], verdicts: list[dict[str, Any]]) -> list[str]:
    """Each combination's metrics beside the baseline's, the same of each slice, then the gates."""
    made = EvaluationOutput.model_validate(output)
    baseline = made.combinations[0]
    rows = [["combination", *made.metrics]]
    for place, each in enumerate(made.combinations):
        gains = {name: made.gain(name, place) if place else None for name in made.metrics}
        rows.append([_label(each, baseline), *(_cell(name, each, gains[name]) for name in made.metrics)])
    beside = [GAINS] if len(made.combinations) > 1 else []
    lines = [f"  {made.rows} held-out rows", "", *beside, *table(rows), *_sureness(made)]
    for column in dict.fromkeys(each.column for each in baseline.slices):
        lines += table(list(_slices(column, made)))
    lines += _marked(baseline)
    confused = [
        f"  confusion of {_label(each, baseline)}: {each.confusion}" for each in made.combinations if each.confusion
    ]
    lines += [*confused, ""] if confused else []
    for verdict in verdicts:
        mark = click.style("✓", fg="green") if verdict["passed"] else click.style("✗", fg="red")
        lines.append(f"  {mark} {Verdict(**verdict)}")
    return lines


def _label(each: CombinationOutput, baseline: CombinationOutput) -> str:
    label = " + ".join(part for part in (each.model, each.adapter) if part)
    return label + (" (baseline)" if each is baseline else "")


def _sureness(made: EvaluationOutput) -> list[str]:
    """Where each number lies, and whether the gain over the baseline may be chance."""
    baseline = made.combinations[0]
    rows = [["combination", "metric", "interval", "gain", "interval of gain", "p", "test"]]
    for place, each in enumerate(made.combinations):
        for name in each.metrics:
            levels, found = each.intervals.get(name, ()), made.difference(name, place) if place else None
            tested = ["", "", "", ""]
            if found:
                tested = [signed(found.gain), _ends(found.intervals), f"{found.p_value:.2g}", found.test]
            if levels or found:
                rows.append([_label(each, baseline), name, _ends(levels), *tested])
    return [f"  {SHOWN:.0%} intervals, as if other such rows were asked", *table(rows)] if len(rows) > 1 else []


def _ends(levels: Sequence[Interval]) -> str:
    return next((f"[{number(each.low)}, {number(each.high)}]" for each in levels if each.confidence == SHOWN), "")


def headline(outcome: dict[str, Any]) -> str:
    """The first gate that is missed; without gates what the best combination gains, and whether that may be chance."""
    verdicts = outcome.get("verdicts") or []
    if not verdicts:
        made = EvaluationOutput.model_validate(outcome["output"])
        return ", ".join([plural(made.rows, "row"), *_best(made)])
    missed = [verdict for verdict in verdicts if not verdict["passed"]]
    return "gates passed" if not missed else f"gate missed: {Verdict(**missed[0])}"


def _best(made: EvaluationOutput) -> Iterator[str]:
    """By the first metric that is of rows."""
    first = made.differences[0].metric if made.differences else ""
    against = [each for each in made.differences if each.than == 0 and each.metric == first]
    if against:
        best = max(against, key=lambda each: each.gain)
        of = made.combinations[best.combination]
        ends = _ends(of.intervals.get(first, ()))
        told = " ".join(filter(None, (plain(of.adapter or of.model), number(of.metrics[first]), ends)))
        yield f"{first} of {told}, {signed(best.gain)} over the baseline (p {best.p_value:.2g})"


def _slices(column: str, made: EvaluationOutput) -> Iterator[list[str]]:
    """The values of one column, and below each other what every combination made of its rows."""
    baseline = made.combinations[0]
    names = list(next((each.metrics for each in baseline.slices if each.column == column), {}))
    yield [plain(column), "rows", "combination", *names]
    for place, base in enumerate(baseline.slices):
        for each in made.combinations if base.column == column else ():
            first = each is baseline
            head = [plain(base.value), f"{base.rows}{'*' if base.is_few else ''}"] if first else ["", ""]
            yield [*head, _label(each, baseline), *_sliced(names, each.slices[place], None if first else base)]


def _sliced(names: list[str], each: SliceOutput, base: SliceOutput | None) -> Iterator[str]:
    """Metrics with their intervals: those of slices are too many for a table of their own."""
    for name in names:
        value, other = each.metrics.get(name), base.metrics.get(name) if base else None
        gained = None if value is None or other is None else gain(name, value, other)
        ends = _ends([each.intervals[name]]) if name in each.intervals else ""
        yield " ".join(filter(None, (_cell(name, each, gained), ends)))


def _marked(baseline: CombinationOutput) -> list[str]:
    few = sum(each.is_few for each in baseline.slices)
    return [f"  * {plural(few, 'slice')} of few rows: chance moves such numbers", ""] if few else []


def _cell(name: str, each: CombinationOutput | SliceOutput, gained: float | None) -> str:
    if name not in each.metrics:
        return "-"
    shown = number(each.metrics[name])
    return shown if gained is None else f"{shown} ({signed(gained)})"
