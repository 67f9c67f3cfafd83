"""Runs of a workspace's jobs as attempts: which run is which attempt, and which of two of the same counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from studio.backends.workspace import arguments, standing
from studio.backends.workspace.calls import Calls, MissingError
from studio.backends.workspace.standing import Engine
from studio.backends.workspace.templates import moment
from studio.core.errors import RefusedError

STOPPING = f"ENGINE_{Engine.STOPPING}"
OVER = frozenset(f"ENGINE_{state}" for state in standing.OVER)
"""What EngineStatus says of a run that will do nothing more."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run of a job that studio started. Times are in seconds since the epoch, infinite for what did not happen."""

    job_id: str
    run_id: str
    told: arguments.Told
    status: str
    created: float
    began: float

    @property
    def number(self) -> int:
        return self.told.attempt

    @property
    def is_over(self) -> bool:
        return self.status in OVER


def listed(calls: Calls, job: Any) -> list[Any]:
    """All runs of a job, also those that somebody started by hand; none when the job is gone by now."""
    try:
        return calls.pages(
            f"list the runs of the job {job.name}",
            lambda page: page.job_runs,
            calls.client.list_job_runs,
            calls.project_id,
            job.id,
        )
    except MissingError:
        return []


def of_job(calls: Calls, job: Any) -> list[Attempt]:
    """The runs of a job that studio started, of whatever attempt."""
    told = ((run, arguments.told(run.arguments or "")) for run in listed(calls, job))
    return [attempt_of(run, job.id, each) for run, each in told if each]


def attempt_of(run: Any, job_id: str, told: arguments.Told) -> Attempt:
    return Attempt(job_id, run.id, told, str(run.status), moment(run.created_at), moment(run.running_at))


def which_counts(attempts: Iterable[Attempt], number: int) -> tuple[Attempt | None, list[Attempt]]:
    """The run that is attempt ``number``, and spare ones of the same attempt.

    The first to begin counts, because it has claimed the attempt; while none has begun, the oldest.
    """
    same = sorted(
        (each for each in attempts if each.number == number), key=lambda each: (each.began, each.created, each.run_id)
    )
    return (same[0], same[1:]) if same else (None, [])


def stop(calls: Calls, job_id: str, run_id: str) -> None:
    """Ask a run to stop; one that is over or gone needs no stopping."""
    what = f"stop the run {run_id}"

    def is_over() -> bool | None:
        run = calls.ask(f"look at the run {run_id}", calls.client.get_job_run, calls.project_id, job_id, run_id)
        return True if run.status in OVER or run.status == STOPPING else None

    try:
        calls.effect(what, is_over, calls.client.stop_job_run, calls.project_id, job_id, run_id)
    except MissingError:
        return
    except RefusedError:
        if not is_over():
            raise
