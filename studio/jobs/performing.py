"""From a spec to a result: finds the job's function, runs it, and turns what went wrong into a Failure."""

from __future__ import annotations

import importlib
import sys
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime

from studio.core.errors import StudioError
from studio.core.jobresult import Failure, JobResult, Measures
from studio.core.jobspec import JobSpec
from studio.jobs import JOBS, exhaustion
from studio.jobs.events import EventLog
from studio.jobs.result import Outcome

Job = Callable[[JobSpec, EventLog], Outcome]


def perform(spec: JobSpec, events: EventLog) -> JobResult:
    """Run the job. Every Exception becomes the result's ``failure``; SystemExit passes."""
    started, clock = datetime.now(UTC), time.perf_counter()
    outcome, failure = None, None
    try:
        outcome = _job(spec.work.task)(spec, events)
    except Exception as error:  # the border of the process: nothing passes without a report
        traceback.print_exc()
        failure = _failure(error, spec)
        print(f"failed: {failure.message}\n{failure.hint}".rstrip(), file=sys.stderr, flush=True)
    result = JobResult(
        key=spec.key,
        attempt=spec.attempt,
        fingerprint=spec.fingerprint,
        output=outcome.output if outcome else None,
        failure=failure,
        mlflow_run_id=outcome.mlflow_run_id if outcome else "",
        mlflow_experiment_id=outcome.mlflow_experiment_id if outcome else "",
        measures=outcome.measures if outcome else Measures(),
        started_at=started.isoformat(),
        finished_at=datetime.now(UTC).isoformat(),
        seconds=time.perf_counter() - clock,
    )
    _tell(events, failure)
    return result


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
