"""What is recorded and what is running, joined: the data behind ``status`` and ``show``."""

from __future__ import annotations

from dataclasses import dataclass

from studio.backends.base import Backend, Handle, JobState, JobStatus
from studio.core.references import Ref
from studio.state.base import ACTIVE, Record, Run, StateReader


@dataclass(frozen=True, slots=True)
class Standing:
    """One resource's record and its latest run, with the run's live status while it is under way."""

    ref: Ref
    record: Record | None
    run: Run | None
    live: JobStatus | None

    @property
    def state(self) -> str:
        """One word: running, ready, failed, or what a run that nobody recorded yet came to."""
        if self.live:
            return "running" if self.live.state is JobState.RUNNING else f"{self.live.state.value}, not recorded"
        return self.record.status.value if self.record else (self.run.status.value if self.run else "unknown")


def standings(state: StateReader, backend: Backend) -> list[Standing]:
    """Every recorded or running resource, sorted by kind and name."""
    records = state.records()
    latest: dict[Ref, Run] = {}
    for run in state.runs():
        latest.setdefault(run.ref, run)
    refs = sorted({*records, *latest})
    return [standing(ref, records.get(ref), latest.get(ref), backend) for ref in refs]


def standing(ref: Ref, record: Record | None, run: Run | None, backend: Backend) -> Standing:
    """One resource's standing; a run under way is asked for."""
    live = None
    if run and run.status in ACTIVE:
        handle = backend.find(run.key, run.attempt)
        live = backend.poll(handle) if handle else None
    return Standing(ref, record, run, live)


def handle_of(run: Run) -> Handle:
    """The backend's handle of a recorded run."""
    return Handle(run.key, run.attempt, run.handle)
