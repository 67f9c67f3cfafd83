"""Beacons: what a job in a workspace leaves where one look tells of all jobs.

Each job keeps one small file that holds its latest event, replaced whole, and leaves a second one after its result.
Names tell which job and whether it ended, so a listing of the folder is enough to know whom to ask for more.
Whoever can write to the project can write here too: a name or content that a job would not write says nothing.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

from pydantic import Field, ValidationError

from studio.core.event import Event
from studio.core.jobspec import JobSpec
from studio.core.record import Record

FOLDER = ".studio/beacons"
"""Relative to the project."""
LARGEST_BYTES = 1 << 16
"""Of a beacon; what is larger was not written by a job."""
LONGEST_MESSAGE = 2000
"""Of an event's message, in characters; a beacon holds no more of it."""
_NAME = re.compile(
    r"(?P<key>[A-Za-z0-9][A-Za-z0-9._-]{0,199})@(?P<attempt>[1-9][0-9]{0,5})"
    r"(?:\.part-(?P<part>[1-9][0-9]{0,3}))?(?P<ended>\.ended)?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Beacon:
    """Which attempt of which job, or of which part of it, and whether it says that this has ended."""

    key: str
    attempt: int
    part: int = 0
    """From 1 on; 0 for a job that does all of the work."""
    ended: bool = False

    @property
    def name(self) -> str:
        """The file's name in the folder of beacons."""
        part = f".part-{self.part}" if self.part else ""
        return f"{self.key}@{self.attempt}{part}{'.ended' if self.ended else ''}"

    @property
    def path(self) -> str:
        """The file, relative to the project."""
        return f"{FOLDER}/{self.name}"

    @property
    def end(self) -> Beacon:
        """The beacon that the same job leaves last, after its result."""
        return replace(self, ended=True)


class Ended(Record):
    """How a job's process ended: its exit code, or minus the signal that killed it, as ``subprocess`` tells it."""

    code: int = Field(ge=-255, le=255)
    cancelled: bool = False
    """Whether it had been asked to stop."""
    time: float | None = Field(None, allow_inf_nan=False)
    """Seconds since the epoch, by the engine's clock."""


def of(spec: JobSpec) -> Beacon:
    """Where a job tells how far it is."""
    return Beacon(spec.key, spec.attempt, spec.part)


def parse(name: str) -> Beacon | None:
    """The beacon of a file's name; None for a name that no job would give."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    return Beacon(found["key"], int(found["attempt"]), int(found["part"] or 0), bool(found["ended"]))


def told(event: Event) -> bytes:
    """A beacon's content: the job's latest event."""
    short = event.model_copy(update={"message": event.message[:LONGEST_MESSAGE]})
    return short.model_dump_json(exclude_none=True).encode()


def heard(content: bytes) -> Event | None:
    """The event in a beacon; None for what is none, because progress is not worth more."""
    if len(content) > LARGEST_BYTES:
        return None
    try:
        event = Event.model_validate_json(content)
    except ValidationError:
        return None
    return event if math.isfinite(event.time) else None


def told_end(ended: Ended) -> bytes:
    """The content of the beacon that a job leaves last."""
    return ended.model_dump_json().encode()


def heard_end(content: bytes) -> Ended | None:
    """How the job ended; None where that cannot be read."""
    if len(content) > LARGEST_BYTES:
        return None
    try:
        return Ended.model_validate_json(content)
    except ValidationError:
        return None
