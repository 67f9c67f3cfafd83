"""How an attempt ended, judged from what its job left: the same words for every backend."""

from __future__ import annotations

import signal

from pydantic import ValidationError

from studio.backends.base import Handle, JobState, JobStatus
from studio.core.event import Event
from studio.core.job_keys import may_make
from studio.core.jobresult import JobResult

LARGEST_BYTES = 4 << 20
"""Of a result: a thousand combinations with all metrics are less than a tenth of it."""
RESUME = "apply again to resume it"


def of_result(content: bytes, handle: Handle, progress: Event | None, where: str) -> JobStatus | None:
    """What a ``result.json`` says, which is ``where``; None when an earlier attempt left it."""
    if len(content) > LARGEST_BYTES:
        message = f"the result is larger than {LARGEST_BYTES >> 20} MiB, which no job writes"
        return JobStatus(JobState.FAILED, progress, None, message, f"see {where}")
    try:
        result = JobResult.model_validate_json(content)
    except ValidationError as error:
        message = f"the result is not readable by this version of studio: {error.error_count()} faults"
        return JobStatus(JobState.FAILED, progress, None, message, f"see {where}")
    if result.key != handle.key:
        return JobStatus(JobState.FAILED, progress, None, f"the result is of another job, {result.key}", f"see {where}")
    if result.attempt != handle.attempt:
        return None
    if result.failure:
        return JobStatus(JobState.FAILED, progress, result, result.failure.message, result.failure.hint)
    if result.output is None or not may_make(handle.key, result.output.task):
        message = "the result does not tell what such a job makes"
        return JobStatus(JobState.FAILED, progress, None, message, f"see {where}")
    return JobStatus(JobState.SUCCEEDED, progress, result)


def cancelled(progress: Event | None, message: str = "the job was cancelled") -> JobStatus:
    return JobStatus(JobState.CANCELLED, progress, None, message, RESUME)


def death(code: int | None) -> str:
    """How a job ended that left no result; ``code`` is what ``subprocess`` says, None where nobody was there."""
    if code is None:
        return "the job and its supervisor were killed"
    if code >= 0:
        return f"the job ended with exit code {code} and no result"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"the job was killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
