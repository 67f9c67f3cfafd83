"""What an evaluation leaves for people: predictions row by row, a table of combinations, a bar chart."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from studio.core import parts
from studio.core.jobresult import CombinationOutput, EvaluationOutput, Interval, SliceOutput
from studio.core.jobspec import EvaluationWork, JobSpec
from studio.core.secrets import redact
from studio.jobs import charts, tracking
from studio.jobs.evaluation import comparison_table, differences
from studio.jobs.evaluation.metrics import Answers, correct
from studio.jobs.tracking import TrackedRun

TABLE, CHART = "comparison.csv", "comparison.png"


def write_predictions(
    path: Path, prompts: Sequence[str], answers: Answers, features: Mapping[str, Sequence[object]]
) -> Path:
    """One line per row: the selected features, then prompt, expected, prediction and correct (True or False).

    What looks like a token in the rows is hidden: the file goes to the tracking server, where others read it.
    """
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([*features, "prompt", "expected", "prediction", "correct"])
        columns = (*features.values(), prompts, answers.expected, answers.predictions, correct(answers))
        for row in zip(*columns, strict=True):
            writer.writerow([redact(cell) if isinstance(cell, str) else cell for cell in row])
    return path


def of_slices(slices: Sequence[SliceOutput]) -> dict[str, float]:
    """Metrics of slices under names that MLflow takes: ``exact_match/category/billing``. Values whose names would be
    the same are numbered."""
    named: dict[str, float] = {}
    taken: Counter[str] = Counter()
    for each in slices:
        path = f"{_name(each.column)}/{_name(each.value)}"
        taken[path] += 1
        number = f".{taken[path]}" if taken[path] > 1 else ""
        named |= {f"{metric}/{path}{number}": value for metric, value in each.metrics.items()}
    return named


def _name(text: str) -> str:
    """MLflow takes letters, digits and few signs, 250 in all (mlflow 3.17, utils/validation.py)."""
    return re.sub(r"[^\w-]+", "_", text)[:80].strip("_") or "_"


def bounds(intervals: Mapping[str, Sequence[Interval]]) -> dict[str, float]:
    """The ends of the intervals that are shown, under names of their own."""
    shown = {name: each for name, levels in intervals.items() if (each := comparison_table.at(levels))}
    lows = {f"{name}_low": each.low for name, each in shown.items()}
    return lows | {f"{name}_high": each.high for name, each in shown.items()}


def draw(folder: Path, made: EvaluationOutput, title: str) -> Path:
    """The metrics of all combinations, side by side."""
    panels = {name: [_bar(each, name) for each in made.combinations] for name in made.metrics}
    return charts.draw_bars(panels, [row.adapter or row.model for row in made.combinations], title, folder / CHART)


def _bar(row: CombinationOutput, metric: str) -> charts.Bar | None:
    if metric not in row.metrics:
        return None
    shown = comparison_table.at(row.intervals.get(metric, ()))
    return charts.Bar(row.metrics[metric], (shown.low, shown.high) if shown else None)


def conclude(spec: JobSpec, output: EvaluationOutput, run: TrackedRun) -> dict[str, Any]:
    """What only all combinations together say: differences, table and chart, in the job's folder and with the run of
    the whole evaluation."""
    made = output.model_copy(update={"differences": differences.between(spec, output.combinations)})
    run.log_file(comparison_table.write(spec.folder / TABLE, made))
    chart = draw(spec.folder, made, spec.name)
    run.log_file(chart)
    return {"differences": made.differences, "chart": parts.location(spec, chart.name)}


def params(work: EvaluationWork, rows: int) -> dict[str, Any]:
    """What the run of the whole evaluation says of it."""
    return {
        "dataset": work.dataset.name,
        "dataset_digest": work.dataset.digest,
        "rows": rows,
        "metrics": ",".join(work.metrics),
        **{f"judge.{each.name}": f"{each.model}: {each.definition}" for each in work.judges},
        **({"tasks": ",".join(work.harness.tasks)} if work.harness else {}),
        **tracking.flat(work.generation, "generation"),
    }
