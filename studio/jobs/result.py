"""The result of a job, and the way it reaches the disk: whole, or not at all."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from studio.core.atomic import write_atomically
from studio.core.jobresult import Failure, JobResult, Measures, Output
from studio.core.jobspec import RESULT_FILE, JobSpec

UNTIL_DONE = "checkpoints"
"""Folder of a run that a later attempt goes on from; removed when there is a result, and not before."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a job function returns; ids are empty when nothing was logged to MLflow."""

    output: Output
    mlflow_run_id: str = ""
    mlflow_experiment_id: str = ""
    measures: Measures = field(default_factory=Measures)


def told(spec: JobSpec, ended: Outcome | Failure, started: datetime, seconds: float) -> JobResult:
    """What a job leaves behind that ended now, after so many seconds of work."""
    outcome, failure = (None, ended) if isinstance(ended, Failure) else (ended, None)
    return JobResult(
        key=spec.key,
        attempt=spec.attempt,
        fingerprint=spec.fingerprint,
        output=outcome.output if outcome else None,
        failure=failure,
        mlflow_run_id=outcome.mlflow_run_id if outcome else "",
        mlflow_experiment_id=outcome.mlflow_experiment_id if outcome else "",
        measures=outcome.measures if outcome else Measures(),
        started_at=started.isoformat(),
        finished_at=datetime.now(UTC).isoformat(),
        seconds=seconds,
    )


def of_rank(rank: int) -> str:
    """The file in which a rank beyond the first says why it failed."""
    return f"failure-{rank}.json"


def write_result(folder: Path, result: JobResult, name: str = RESULT_FILE) -> Path:
    """Write ``result.json``; raises OSError and leaves no partial file when that is impossible."""
    return write_atomically(folder / name, result.model_dump_json(indent=2).encode() + b"\n")


def read_result(folder: Path, name: str = RESULT_FILE) -> JobResult | None:
    """The folder's result, or None while there is none; raises ValidationError for a foreign file."""
    path = folder / name
    return JobResult.model_validate_json(path.read_bytes()) if path.exists() else None


def tidy(folder: Path) -> None:
    """Remove what only a later attempt would need, now that the work is done."""
    shutil.rmtree(folder / UNTIL_DONE, ignore_errors=True)
