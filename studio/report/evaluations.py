"""What an evaluation measured, as text: combinations beside the baseline, slices, gates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from studio.core.jobresult import CombinationOutput, EvaluationOutput, SliceOutput
from studio.report.findings import plural
from studio.report.plain import plain
from studio.report.tables import table
from studio.resources.evaluation_job import Verdict


def comparison(output: dict[str, Any], verdicts: list[dict[str, Any]]) -> list[str]:
    """Each combination's metrics beside the baseline's, the same of each slice, then the gates."""
    made = EvaluationOutput.model_validate(output)
    baseline = made.combinations[0]
    names = list(baseline.metrics)
    rows = [["combination", *names]]
    rows += [[_label(each, baseline), *_cells(names, each, baseline)] for each in made.combinations]
    lines = [f"  {made.rows} held-out rows", "", *table(rows)]
    for column in dict.fromkeys(each.column for each in baseline.slices):
        lines += table(list(_slices(column, made)))
    lines += _marked(baseline)
    for verdict in verdicts:
        mark = click.style("✓", fg="green") if verdict["passed"] else click.style("✗", fg="red")
        lines.append(f"  {mark} {Verdict(**verdict)}")
    return lines


def _label(each: CombinationOutput, baseline: CombinationOutput) -> str:
    label = " + ".join(part for part in (each.model, each.adapter) if part)
    return label + (" (baseline)" if each is baseline else "")


def _slices(column: str, made: EvaluationOutput) -> Iterator[list[str]]:
    """The values of one column, and below each other what every combination made of its rows."""
    baseline = made.combinations[0]
    names = list(next((each.metrics for each in baseline.slices if each.column == column), {}))
    yield [plain(column), "rows", "combination", *names]
    for number, base in enumerate(baseline.slices):
        for each in made.combinations if base.column == column else ():
            first = each is baseline
            head = [plain(base.value), f"{base.rows}{'*' if base.is_few else ''}"] if first else ["", ""]
            yield [*head, _label(each, baseline), *_cells(names, each.slices[number], base)]


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
