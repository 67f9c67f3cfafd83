"""What an evaluation leaves for people: predictions row by row, a table of combinations, a bar chart."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from studio.core import parts
from studio.core.jobresult import CombinationOutput
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
    """One line per combination: its metrics, and for each what it gains over the first, the baseline.

    A gain above 0 is an improvement, also for metrics that are better when lower.
    """
    names = list(combinations[0].metrics)
    path = folder / TABLE
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["model", "adapter", *names, *(f"{name}_gain" for name in names)])
        for row in combinations:
            values = [row.metrics[name] for name in names]
            gains = [gain(name, row.metrics[name], combinations[0].metrics[name]) for name in names]
            writer.writerow([row.model, row.adapter, *values, *gains])
    return path


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
