"""What an evaluation measured, as text: combinations beside the baseline, slices, gates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import click

from studio.core.confidence import SHOWN
from studio.core.jobresult import CombinationOutput, EvaluationOutput, Interval, SliceOutput
from studio.core.verdicts import Verdict
from studio.report.findings import plural
from studio.report.plain import plain
from studio.report.tables import table


def comparison(output: dict[str, Any], verdicts: list[dict[str, Any]]) -> list[str]:
    """Each combination's metrics beside the baseline's, the same of each slice, then the gates."""
    made = EvaluationOutput.model_validate(output)
    baseline = made.combinations[0]
    names = list(baseline.metrics)
    rows = [["combination", *names]]
    rows += [[_label(each, baseline), *_cells(names, each, baseline)] for each in made.combinations]
    lines = [f"  {made.rows} held-out rows", "", *table(rows), *_sureness(made)]
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
    against = {(each.metric, each.combination): each for each in made.differences if each.than == 0}
    rows = [["combination", "metric", "interval", "gain", "interval", "p", "test"]]
    for number, each in enumerate(made.combinations):
        for name, levels in each.intervals.items():
            found = against.get((name, number))
            tested = ["", "", "", ""]
            if found:
                tested = [f"{found.gain:+.4g}", _ends(found.intervals), f"{found.p_value:.2g}", found.test]
            rows.append([_label(each, baseline), name, _ends(levels), *tested])
    return [f"  {SHOWN:.0%} intervals, as if other such rows were asked", *table(rows)] if len(rows) > 1 else []


def _ends(levels: Sequence[Interval]) -> str:
    return next((f"[{each.low:.4g}, {each.high:.4g}]" for each in levels if each.confidence == SHOWN), "")


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
        yield (
            f"{first} of {plain(of.adapter or of.model)} {of.metrics[first]:.4g} {_ends(of.intervals[first])}, "
            f"{best.gain:+.4g} over the baseline (p {best.p_value:.2g})"
        )


def _slices(column: str, made: EvaluationOutput) -> Iterator[list[str]]:
    """The values of one column, and below each other what every combination made of its rows."""
    baseline = made.combinations[0]
    names = list(next((each.metrics for each in baseline.slices if each.column == column), {}))
    yield [plain(column), "rows", "combination", *names]
    for number, base in enumerate(baseline.slices):
        for each in made.combinations if base.column == column else ():
            first = each is baseline
            head = [plain(base.value), f"{base.rows}{'*' if base.is_few else ''}"] if first else ["", ""]
            yield [*head, _label(each, baseline), *_sliced(names, each.slices[number], base)]


def _sliced(names: list[str], each: SliceOutput, base: SliceOutput) -> list[str]:
    """Metrics with their intervals: those of slices are too many for a table of their own."""
    ends = [_ends([each.intervals[name]]) if name in each.intervals else "" for name in names]
    return [" ".join(filter(None, pair)) for pair in zip(_cells(names, each, base), ends, strict=True)]


def _marked(baseline: CombinationOutput) -> list[str]:
    few = sum(each.is_few for each in baseline.slices)
    return [f"  * {plural(few, 'slice')} of few rows: chance moves such numbers", ""] if few else []


def _cells(
    names: list[str], each: CombinationOutput | SliceOutput, baseline: CombinationOutput | SliceOutput
) -> list[str]:
    return [_cell(each.metrics.get(name), None if each is baseline else baseline.metrics.get(name)) for name in names]


def _cell(value: float | None, baseline: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if baseline is None else f"{value:.4g} ({value - baseline:+.4g})"
