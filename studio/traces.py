"""What runs left on this disk, as far as it is still there: a cleaned-up or foreign run folder costs a report some of
its pages, never the report.

Locations come from records, which anybody may have written who can write to the state: none leads out of the project.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ValidationError

from studio.core import course
from studio.core.course import Course
from studio.core.event import Event
from studio.core.jobspec import EVENTS_FILE, SPEC_FILE
from studio.state.base import ACTIVE, Record, Run

LARGEST_BYTES = 64 << 20
"""Of a file that is read; a training that logs every one of 100,000 steps tells 30 MB."""


MOST_CLASSES = 60
"""Rows of a confusion matrix; a job makes one of half as many."""


@dataclass(frozen=True, slots=True)
class Told:
    """A course, and in words where it is from; of an empty one, why there is none."""

    course: Course
    origin: str


def course_of(root: Path, record: Record | None, run: Run | None) -> Told:
    """What a training told: of a run under way, or the latest that failed, its events so far; else what is recorded,
    from the events themselves while they are there."""
    if run and (run.status in ACTIVE or record is None or not _kept(record).steps):
        found = course.of(events(root, run.filing.get("run_dir", "")))
        if found.steps:
            return Told(found, "the events of its latest run")
    if record is None or not record.outcome:
        return Told(Course(), "nothing was told of a step yet")
    found = course.of(events(root, record.outcome.get("run_dir", "")))
    if found.steps:
        return Told(found, "the events of its run")
    kept = _kept(record)
    if kept.steps:
        return Told(kept, "what the record keeps; the events are not on this disk")
    return Told(Course(), "neither the events nor a course are kept here; MLflow has the metrics of its run")


def events(root: Path, run_dir: object) -> Iterator[Event]:
    """The events of a run, oldest first; none where they are not on this disk. A line that is none says nothing."""
    path = file(root, f"{run_dir}/{EVENTS_FILE}") if run_dir else None
    if path is None:
        return
    with path.open("rb") as stream:
        for line in stream:
            try:
                yield Event.model_validate_json(line)
            except ValidationError:
                continue


def file(root: Path, location: object) -> Path | None:
    """A file in the project that is small enough to be read; None for what is not there, or not in it."""
    parts = PurePosixPath(str(location))
    if not str(location) or parts.is_absolute() or ".." in parts.parts or "\0" in str(location):
        return None
    path = root / parts
    try:
        is_readable = path.is_file() and not path.is_symlink() and path.stat().st_size <= LARGEST_BYTES
    except OSError:
        return None
    return path if is_readable else None


def _kept(record: Record) -> Course:
    """What a record keeps of the course; none in one of an earlier version of studio, or of a job that trains not."""
    output: dict[str, Any] = record.outcome.get("output") or {}
    try:
        return Course.model_validate(output.get("course") or {})
    except ValidationError:
        return Course()


@dataclass(frozen=True, slots=True)
class Asked:
    """A row that was asked, and what was answered; ``correct`` is None where that was not judged."""

    prompt: str
    expected: str
    prediction: str
    correct: bool | None


@dataclass(frozen=True, slots=True)
class Matrix:
    """How often each class was answered (across) where another was expected (down)."""

    down: tuple[str, ...]
    across: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


def predictions(root: Path, location: object) -> tuple[Asked, ...] | None:
    """The rows of a file of predictions; None where it is gone, or is none."""
    lines = _table(root, location)
    if not lines or not {"prompt", "expected", "prediction"} <= set(lines[0]):
        return None
    at = {name: place for place, name in enumerate(lines[0])}
    judged = {"True": True, "False": False}
    rows = (line for line in lines[1:] if len(line) == len(lines[0]))
    return tuple(
        Asked(row[at["prompt"]], row[at["expected"]], row[at["prediction"]], judged.get(row[at.get("correct", -1)]))
        for row in rows
    )


def matrix(root: Path, location: object) -> Matrix | None:
    """A confusion matrix; None where it is gone, or is none."""
    lines = _table(root, location)
    if not lines or len(lines) > MOST_CLASSES or any(len(line) != len(lines[0]) for line in lines):
        return None
    try:
        counts = tuple(tuple(max(0, int(cell)) for cell in line[1:]) for line in lines[1:])
    except ValueError:
        return None
    return Matrix(tuple(line[0] for line in lines[1:]), tuple(lines[0][1:]), counts)


def job_spec(root: Path, run_dir: object) -> dict[str, Any]:
    """What a job was told to do, as it was told; {} where that is gone."""
    return _json(root, f"{run_dir}/{SPEC_FILE}") if run_dir else {}


def _json(root: Path, location: str) -> dict[str, Any]:
    path = file(root, location)
    try:
        found = json.loads(path.read_bytes()) if path else {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _table(root: Path, location: object) -> list[list[str]]:
    path = file(root, location)
    if path is None:
        return []
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return list(csv.reader(stream))
    except (csv.Error, UnicodeDecodeError):
        return []
