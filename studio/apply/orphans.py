"""Jobs whose resource has moved on: the manifest was edited, renamed or removed while they ran.

No action of the plan waits for them, so every apply looks after them: what they made is filed by fingerprint and can be
reused, and a run that has ended is closed. None is ever stopped by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from studio.apply.filing import artifact
from studio.apply.submission import ENDED
from studio.backends.base import Backend, Handle, JobState, JobStatus
from studio.core.errors import BackendError
from studio.core.job_keys import is_removal, is_revision, removal_key
from studio.desired import Desire
from studio.plan.actions import Plan, Verb
from studio.state.base import Run, RunStatus, StateStore


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of one of them, in words; ``open`` while its job runs or cannot be asked for."""

    run: Run
    words: str
    open: bool = False


def left_behind(active: Iterable[Run], desire: Desire, plan: Plan, backend: str = "") -> tuple[Run, ...]:
    """The runs under way that no action waits for. What the plan leaves out is not left behind.

    ``backend``: its name, where it is known; no action waits for a job of another one.
    """
    wanted = {(item.ref, item.fingerprint) for item in desire.items.values()}
    decided = {action.ref for action in plan.actions}
    removed = {removal_key(action.ref, action.fingerprint) for action in plan.actions if action.verb is Verb.DELETE}
    work = {(action.ref.kind, action.fingerprint) for action in plan.actions if action.dispatches or action.revises}
    return tuple(
        run
        for run in active
        if (backend and run.backend != backend)
        or (
            (run.ref.kind, run.fingerprint) not in work
            and run.key not in removed
            and (run.ref in decided or (run.ref, run.fingerprint) not in wanted)
        )
    )


def settle(runs: Iterable[Run], state: StateStore, backend: Backend, now: Callable[[], str]) -> tuple[Settled, ...]:
    """Close what has ended and file what it made."""
    return tuple(_settle(run, state, backend, now()) for run in runs)


def _settle(run: Run, state: StateStore, backend: Backend, now: str) -> Settled:
    if run.backend != backend.name:
        return Settled(run, f"runs on the backend {run.backend!r}, which is not this environment's any more", open=True)
    try:
        handle = backend.find(run.key, run.attempt)
        status = backend.poll(handle) if handle else None
    except BackendError as error:
        return Settled(run, f"nobody knows whether it runs: {error.message}", open=True)
    if handle is None or status is None:
        words = "was never started" if run.status is RunStatus.INTENT else "is not known to its backend any more"
        state.save_run(replace(run, status=RunStatus.FAILED, finished_at=now, error=f"the job {words}"))
        return Settled(run, words)
    if status.state is JobState.RUNNING:
        return Settled(run, "still runs", open=True)
    return _ended(run, handle, status, state, now)


def _ended(run: Run, handle: Handle, status: JobStatus, state: StateStore, now: str) -> Settled:
    with state.together():
        closed = replace(run, status=ENDED[status.state], handle=handle.details, finished_at=now, error=status.message)
        state.save_run(closed)
        if status.state is not JobState.SUCCEEDED or status.result is None:
            return Settled(run, f"{ENDED[status.state].value}: {status.message}")
        if is_removal(run.key):
            return Settled(run, "succeeded; --prune forgets what it took away")
        if is_revision(run.key):
            return Settled(run, "succeeded; what it said may be said otherwise by the next one")
        state.save_artifact(artifact(run, status.result, now))
    return Settled(run, "succeeded; what it made is kept, for whoever needs the same work")
