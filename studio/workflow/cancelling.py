"""Cancel: ask the backend to stop jobs, see that they end, and close their runs.

The backend is asked without the lock on the state, so that a job can be stopped while another process waits for it.
That process then records the end; when there is none, it is recorded here, under the lease.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from studio.backends.base import Backend, Handle, JobState
from studio.core.errors import BackendError, StateLockedError
from studio.core.references import Ref
from studio.load.project import Loaded
from studio.state.base import ACTIVE, Record, RecordStatus, Run, RunStatus, StateStore
from studio.workflow import editing, places

DEADLINE_SECONDS = 120.0
"""How long a job may take to stop; the local backend kills it after 30."""
POLL_SECONDS = 0.5


class Stage(StrEnum):
    """How far the cancellation of one job came."""

    STOPPED = "cancelled"
    ASKED = "asked to stop"
    OVER = "had ended already"
    UNSTARTED = "was never started"
    STUCK = "does not stop"
    UNKNOWN = "cannot be stopped"


@dataclass(frozen=True, slots=True)
class Cancellation:
    """One job's, with what there is to say about it."""

    run: Run
    stage: Stage
    words: str = ""


def cancel(
    runs: Iterable[Run], backend: Backend, told: Callable[[Run], None], *, wait: bool = True
) -> list[Cancellation]:
    """Ask for all of them first, then wait for each. ``told`` hears of every job that was asked to stop."""
    found: list[Cancellation] = []
    asked: list[tuple[Run, Handle]] = []
    for run in runs:
        handle = _asked(run, backend)
        if isinstance(handle, Cancellation):
            found.append(handle)
            continue
        told(run)
        asked.append((run, handle))
    if not wait:
        return [*found, *(Cancellation(run, Stage.ASKED) for run, _ in asked)]
    deadline = places.clock() + DEADLINE_SECONDS
    return [*found, *(_awaited(run, handle, backend, deadline) for run, handle in asked)]


def to_start_again(runs: Iterable[Run], records: Mapping[Ref, Record]) -> dict[str, tuple[str, ...]]:
    """What apply must be told to run each job again, by key: of one that only repeats what is recorded already, that it
    should."""
    ready = {ref: each.fingerprint for ref, each in records.items() if each.status is RecordStatus.READY}
    return {run.key: ("--replace", str(run.ref)) if ready.get(run.ref) == run.fingerprint else () for run in runs}


def record(loaded: Loaded, cancelled: Iterable[Cancellation]) -> str:
    """Close the runs of the jobs that have stopped. Returns who records it in our place; "" when we did."""
    stopped = {(each.run.key, each.run.attempt) for each in cancelled if each.stage in (Stage.STOPPED, Stage.UNSTARTED)}
    if not stopped:
        return ""
    try:
        editing.edit(loaded, "cancel", lambda state: _closed(state, stopped))
    except StateLockedError:
        return "the process that holds the lock on the state, or else the next apply, records it"
    return ""


def _asked(run: Run, backend: Backend) -> Handle | Cancellation:
    """The handle of a job that was asked to stop, or why that was not to be."""
    if run.backend != backend.name:
        return Cancellation(run, Stage.UNKNOWN, f"it runs on the backend {run.backend!r}, not on this environment's")
    try:
        handle = backend.find(run.key, run.attempt)
        if handle is None:
            return Cancellation(run, Stage.UNSTARTED)
        if backend.poll(handle).state is not JobState.RUNNING:
            return Cancellation(run, Stage.OVER)
        backend.cancel(handle)
    except BackendError as error:
        return Cancellation(run, Stage.UNKNOWN, error.message)
    return handle


def _awaited(run: Run, handle: Handle, backend: Backend, deadline: float) -> Cancellation:
    silence = ""
    while places.clock() < deadline:
        try:
            state = backend.poll(handle).state
        except BackendError as error:
            silence = error.message
        else:
            if state is not JobState.RUNNING:
                return Cancellation(run, Stage.OVER if state is JobState.SUCCEEDED else Stage.STOPPED)
        places.pause(POLL_SECONDS)
    return Cancellation(run, Stage.STUCK, silence or f"it still runs {DEADLINE_SECONDS:.0f} s after it was asked to")


def _closed(state: StateStore, stopped: set[tuple[str, int]]) -> editing.Summary:
    """Only what nobody else has closed in the meantime."""
    summary: editing.Summary = {}
    for run in state.active():
        if (run.key, run.attempt) in stopped and run.status in ACTIVE:
            closed = replace(run, status=RunStatus.CANCELLED, finished_at=places.now(), error="the job was cancelled")
            state.save_run(closed)
            summary[str(run.ref)] = "cancelled"
    return summary
