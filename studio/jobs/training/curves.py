"""What a training told of its steps, as a picture and as numbers to keep; whatever framework trained."""

from __future__ import annotations

from pathlib import Path

from studio.core import course
from studio.core.course import Course
from studio.core.jobspec import EVENTS_FILE, JobSpec
from studio.jobs import charts, events

PICTURE = "curves.png"


def told(spec: JobSpec) -> Course:
    """All that the events of the run say, over all attempts."""
    return course.of(events.read(spec.folder / EVENTS_FILE))


def draw(spec: JobSpec, title: str) -> Path:
    """The picture, in the job's folder."""
    return charts.draw_curves(told(spec), title, spec.folder / PICTURE)
