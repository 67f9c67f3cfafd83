"""The comparison of an evaluation's combinations as a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from studio.core.confidence import SHOWN
from studio.core.jobresult import CombinationOutput, Difference, EvaluationOutput, Interval
from studio.core.metric_names import gain

Cells = dict[str, Any]


def write(path: Path, made: EvaluationOutput) -> Path:
    """One line per combination, then one for each of its slices: their metrics, what these gain over the first
    combination, the baseline, on the same rows, and the 95 % intervals of both with the p-value of no gain.

    A gain above 0 is an improvement, also for metrics that are better when lower. ``slice`` and ``value`` are empty
    for all rows. What is not known, such as the latency of a slice, is empty.
    """
    lines = [_line(made, number) for number in range(len(made.combinations))]
    for row in made.combinations:
        for each, base in zip(row.slices, made.combinations[0].slices, strict=True):
            named = {**_names(row), "slice": each.column, "value": each.value, "rows": each.rows}
            shared = each.metrics.keys() & base.metrics.keys()
            gains = {
                name: gain(name, value, base.metrics[name]) for name, value in each.metrics.items() if name in shared
            }
            lines.append({**named, **_cells(each.metrics, gains, each.intervals)})
    with path.open("w", encoding="utf-8", newline="") as stream:
        columns = list(dict.fromkeys(name for line in sorted(lines, key=len, reverse=True) for name in line))
        writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    return path


def at(intervals: Sequence[Interval], confidence: float = SHOWN) -> Interval | None:
    """The interval of one level; None of what has none."""
    return next((each for each in intervals if each.confidence == confidence), None)


def _line(made: EvaluationOutput, number: int) -> Cells:
    row = made.combinations[number]
    found = {name: made.gain(name, number) if number else 0.0 for name in row.metrics}
    gains = {name: each for name, each in found.items() if each is not None}
    intervals = {name: each for name, levels in row.intervals.items() if (each := at(levels))}
    against = [each for each in made.differences if (each.combination, each.than) == (number, 0)]
    named = {**_names(row), "slice": "", "value": "", "rows": made.rows}
    return {**named, **_cells(row.metrics, gains, intervals), **_tested(against)}


def _names(row: CombinationOutput) -> Cells:
    return {"model": row.model, "adapter": row.adapter}


def _cells(metrics: Mapping[str, float], gains: Mapping[str, float], intervals: Mapping[str, Interval]) -> Cells:
    """Metrics, then gains, then intervals."""
    named = {f"{name}_gain": each for name, each in gains.items()}
    ends = {f"{name}_{end}": getattr(each, end) for name, each in intervals.items() for end in ("low", "high")}
    return {**metrics, **named, **ends}


def _tested(differences: Sequence[Difference]) -> Cells:
    cells: Cells = {}
    for each in differences:
        if shown := at(each.intervals):
            cells |= {f"{each.metric}_gain_low": shown.low, f"{each.metric}_gain_high": shown.high}
        cells[f"{each.metric}_p"] = each.p_value
    return cells
