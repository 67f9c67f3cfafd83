"""The result of a job, and the way it reaches the disk: whole, or not at all."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from studio.core.atomic import write_atomically
from studio.core.jobresult import JobResult, Measures, Output
from studio.core.jobspec import RESULT_FILE


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a job function returns; ids are empty when nothing was logged to MLflow."""

    output: Output
    mlflow_run_id: str = ""
    mlflow_experiment_id: str = ""
    measures: Measures = field(default_factory=Measures)


def write_result(folder: Path, result: JobResult) -> Path:
    """Write ``result.json``; raises OSError and leaves no partial file when that is impossible."""
    return write_atomically(folder / RESULT_FILE, result.model_dump_json(indent=2).encode() + b"\n")


def read_result(folder: Path) -> JobResult | None:
    """The folder's result, or None while there is none; raises ValidationError for a foreign file."""
    path = folder / RESULT_FILE
    return JobResult.model_validate_json(path.read_bytes()) if path.exists() else None
