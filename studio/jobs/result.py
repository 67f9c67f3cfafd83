"""The result of a job, and the way it reaches the disk: whole, or not at all."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from studio.core.jobspec import RESULT_FILE, JobResult, Output


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a job function returns; ids are empty when nothing was logged to MLflow."""

    output: Output
    mlflow_run_id: str = ""
    mlflow_experiment_id: str = ""


def write_result(folder: Path, result: JobResult) -> Path:
    """Write ``result.json``; raises OSError and leaves no partial file when that is impossible."""
    return write_atomically(folder / RESULT_FILE, result.model_dump_json(indent=2).encode() + b"\n")


def read_result(folder: Path) -> JobResult | None:
    """The folder's result, or None while there is none; raises ValidationError for a foreign file."""
    path = folder / RESULT_FILE
    return JobResult.model_validate_json(path.read_bytes()) if path.exists() else None


def write_atomically(path: Path, content: bytes) -> Path:
    """Temporary file, fsync, rename, fsync of the folder: readers see the old file or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
    return path


def sync_folder(folder: Path) -> None:
    """Make renames inside ``folder`` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
