"""What is remembered of a run between two looks at it: of the whole, and of each of the jobs that share it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from studio.backends.base import Handle, JobStatus
from studio.backends.workspace.standing import Engine, Standing
from studio.core import parts
from studio.core.beacons import Beacon, Ended
from studio.core.event import Event

NEVER = float("-inf")


@dataclass(slots=True)
class Part:
    """One CML job. Times are seconds since the epoch, by the clock of whoever watches."""

    beacon: Beacon
    job_id: str
    run_id: str
    name: str
    """Of the CML job, as people see it in the workspace."""
    said: Event | None = None
    """The last event, as the job told it."""
    event: Event | None = None
    """The same, with the time at which it was heard: clocks differ, and what is new must not look old."""
    heard_at: float = NEVER
    standing: Standing | None = None
    is_told: bool = False
    """Whether the job's last beacon was seen; it comes after its result."""
    end: Ended | None = None
    """What that beacon says; None also where it cannot be read."""
    over_at: float = NEVER
    next_heard: float = NEVER
    next_asked: float = NEVER

    @property
    def is_over(self) -> bool:
        return self.over_at != NEVER

    @property
    def was_stopped(self) -> bool:
        """Whether somebody asked it to stop."""
        return (self.end is not None and self.end.cancelled) or (
            self.standing is not None and self.standing.engine is Engine.STOPPED
        )

    def hears(self, event: Event, now: float) -> None:
        """Take a beacon's event over, unless it was heard before. At first sight it may be old, and says so."""
        if event == self.said:
            return
        self.heard_at = min(now, event.time) if self.said is None else now
        self.said, self.event = event, event.model_copy(update={"time": now})


@dataclass(slots=True)
class Tracked:
    """An attempt of a key; ``since`` is when its watching began."""

    handle: Handle
    parts: tuple[Part, ...]
    since: float
    hurried: bool = False
    """It was asked to stop."""
    next_result: float = NEVER
    final: JobStatus | None = None

    @property
    def over_at(self) -> float:
        return max(part.over_at for part in self.parts)

    @staticmethod
    def of(handle: Handle, now: float) -> Tracked:
        jobs: list[dict[str, Any]] = handle.details["jobs"]
        return Tracked(handle, tuple(_part(handle, job, at, len(jobs)) for at, job in enumerate(jobs, 1)), now)


def _part(handle: Handle, job: dict[str, Any], number: int, count: int) -> Part:
    beacon = Beacon(handle.key, handle.attempt, number if count > 1 else 0)
    return Part(beacon, str(job["job_id"]), str(job["run_id"]), str(job["name"]))


def progress(run: Tracked, now: float) -> Event | None:
    """How far the whole is: of several parts the sum."""
    events = [_event(part, now) for part in run.parts]
    return events[0] if len(events) == 1 else parts.progress(events)


def _event(part: Part, now: float) -> Event | None:
    """What the job told last, or what the workspace says of it where that is newer. A job that is over without a word
    about it, because its pod died, has nothing more to do."""
    if part.is_over and part.event and part.event.phase not in parts.ENDS and part.beacon.part:
        return part.event.model_copy(update={"phase": "stopped"})
    if part.standing and (part.event is None or part.standing.since > part.event.time):
        return part.standing.phase(now) or part.event
    return part.event
