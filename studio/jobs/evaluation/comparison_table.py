"""The comparison of an evaluation's combinations as a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from studio.core.confidence import SHOWN
from studio.core.jobresult import CombinationOutput, Difference, Interval, SliceOutput
from studio.core.metric_names import gain

Cells = dict[str, Any]


def write(path: Path, combinations: Sequence[CombinationOutput], differences: Sequence[Difference]) -> Path:
    """One line per combination, then one for each of its slices: their metrics, what these gain over the first
    combination, the baseline, on the same rows, and the 95 % intervals of both with the p-value of no gain.

    A gain above 0 is an improvement, also for metrics that are better when lower. ``slice`` and ``value`` are empty
    for all rows. What is not known, such as the latency of a slice, is empty.
    """
    baseline = combinations[0]
    lines = []
    for number, row in enumerate(combinations):
        against = [each for each in differences if (each.combination, each.than) == (number, 0)]
        intervals = {name: at(levels) for name, levels in row.intervals.items()}
        lines.append({**_names(row), "slice": "", "value": "", **_cells(row, baseline, intervals), **_tested(against)})
    for row in combinations:
        for each, base in zip(row.slices, baseline.slices, strict=True):
            named = {**_names(row), "slice": each.column, "value": each.value}
            lines.append({**named, **_cells(each, base, each.intervals)})
    with path.open("w", encoding="utf-8", newline="") as stream:
        columns = list(dict.fromkeys(name for line in sorted(lines, key=len, reverse=True) for name in line))
        writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    return path


def at(intervals: Sequence[Interval], confidence: float = SHOWN) -> Interval:
    """The interval of one level."""
    return next(each for each in intervals if each.confidence == confidence)


def _names(row: CombinationOutput) -> Cells:
    return {"model": row.model, "adapter": row.adapter}


def _cells(
    row: CombinationOutput | SliceOutput, baseline: CombinationOutput | SliceOutput, intervals: dict[str, Interval]
) -> Cells:
    """Metrics, then gains, then intervals."""
    gains = {
        f"{name}_gain": gain(name, value, baseline.metrics[name])
        for name, value in row.metrics.items()
        if name in baseline.metrics
    }
    ends = {f"{name}_{end}": getattr(each, end) for name, each in intervals.items() for end in ("low", "high")}
    return {**row.metrics, **gains, **ends}


def _tested(differences: Sequence[Difference]) -> Cells:
    cells: Cells = {}
    for each in differences:
        shown = at(each.intervals)
        cells |= {f"{each.metric}_gain_low": shown.low, f"{each.metric}_gain_high": shown.high}
        cells[f"{each.metric}_p"] = each.p_value
    return cells
