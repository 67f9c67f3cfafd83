"""What an evaluation leaves for people: predictions row by row, a table of combinations, a bar chart."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from studio.core import parts
from studio.core.jobresult import CombinationOutput, SliceOutput
from studio.core.jobspec import EvaluationWork, JobSpec
from studio.core.metric_names import gain
from studio.core.secrets import redact
from studio.jobs import charts, tracking
from studio.jobs.metrics import Answers, correct
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


def write_table(folder: Path, combinations: Sequence[CombinationOutput]) -> Path:
    """One line per combination, then one for each of its slices: their metrics, and for each what it gains over the
    first combination, the baseline, on the same rows.

    A gain above 0 is an improvement, also for metrics that are better when lower. ``slice`` and ``value`` are empty
    for all rows.
    """
    names, baseline = list(combinations[0].metrics), combinations[0]
    path = folder / TABLE
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["model", "adapter", "slice", "value", *names, *(f"{name}_gain" for name in names)])
        for row in combinations:
            writer.writerow([row.model, row.adapter, "", "", *_cells(names, row.metrics, baseline.metrics)])
        for row in combinations:
            for each, base in zip(row.slices, baseline.slices, strict=True):
                cells = _cells(names, each.metrics, base.metrics)
                writer.writerow([row.model, row.adapter, each.column, each.value, *cells])
    return path


def _cells(names: list[str], values: Mapping[str, float], baseline: Mapping[str, float]) -> list[float | None]:
    """Metrics, then gains; none of what slices do not have."""
    gains = [gain(name, values[name], baseline[name]) if name in values else None for name in names]
    return [*(values.get(name) for name in names), *gains]


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


def draw(folder: Path, combinations: Sequence[CombinationOutput], title: str) -> Path:
    """The metrics of all combinations, side by side."""
    names = [row.adapter or row.model for row in combinations]
    metrics = {name: [row.metrics[name] for row in combinations] for name in combinations[0].metrics}
    return charts.draw_bars(metrics, names, title, folder / CHART)


def log(spec: JobSpec, combinations: Sequence[CombinationOutput], run: TrackedRun) -> str:
    """Table and chart, in the job's folder and with the run of the whole evaluation; where the chart is."""
    run.log_file(write_table(spec.folder, combinations))
    chart = draw(spec.folder, combinations, spec.name)
    run.log_file(chart)
    return parts.location(spec, chart.name)


def params(work: EvaluationWork, rows: int) -> dict[str, Any]:
    """What the run of the whole evaluation says of it."""
    return {
        "dataset": work.dataset.name,
        "dataset_digest": work.dataset.digest,
        "rows": rows,
        "metrics": ",".join(work.metrics),
        **tracking.flat(work.generation, "generation"),
    }
