"""From a spec to a result: finds the job's function, runs it, and turns what went wrong into a Failure."""

from __future__ import annotations

import importlib
import sys
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime

from studio.core.errors import StudioError
from studio.core.jobresult import Failure, JobResult
from studio.core.jobspec import JobSpec
from studio.jobs import JOBS, exhaustion, result
from studio.jobs.events import EventLog
from studio.jobs.result import Outcome

Job = Callable[[JobSpec, EventLog], Outcome]


def perform(spec: JobSpec, events: EventLog) -> JobResult:
    """Run the job. Every Exception becomes the result's ``failure``; SystemExit passes."""
    started, clock = datetime.now(UTC), time.perf_counter()
    ended = attempt(spec, lambda: _job(spec.work.task)(spec, events))
    made = result.told(spec, ended, started, time.perf_counter() - clock)
    _tell(events, made.failure)
    return made


def attempt(spec: JobSpec, work: Callable[[], Outcome]) -> Outcome | Failure:
    """What ``work`` makes, or why it makes nothing."""
    try:
        return work()
    except Exception as error:  # the border of the process: nothing passes without a report
        if not isinstance(error, StudioError) or error.__cause__:  # else its words are all there is to know
            traceback.print_exc()
        failure = _failure(error, spec)
        print(f"failed: {failure.message}\n{failure.hint}".rstrip(), file=sys.stderr, flush=True)
        return failure


def _tell(events: EventLog, failure: Failure | None) -> None:
    """The last event. A disk too full for it must not keep the result, which says more, from being written."""
    try:
        events.write("failed" if failure else "done", failure.message if failure else "")
    except OSError as error:
        print(f"the last event is lost: {error}", file=sys.stderr)


def _job(task: str) -> Job:
    module, _, function = JOBS[task].partition(":")
    job: Job = getattr(importlib.import_module(module), function)
    return job


def _failure(error: Exception, spec: JobSpec) -> Failure:
    if full := exhaustion.full_disk(error, spec):
        return Failure(message=full.message, hint=full.hint)
    if isinstance(error, StudioError):
        return Failure(message=error.message, hint=error.hint)
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith("studio"):
        return Failure(
            message=f"the package {error.name} is not installed where jobs run ({sys.executable})",
            hint="install what jobs need there: pip install 'fine-tuning-studio[train]'",
        )
    if exhausted := exhaustion.explain(error, spec):
        return Failure(message=exhausted.message, hint=exhausted.hint)
    return Failure(
        message=f"{type(error).__name__}: {error}",
        hint="this is a fault in studio; the log holds the traceback",
        bug=True,
    )
