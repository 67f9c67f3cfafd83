"""What a run came to that failed, in the words of whoever knows most about it."""

from __future__ import annotations

from dataclasses import replace

from studio.backends import endings
from studio.backends.base import Handle, JobState, JobStatus
from studio.backends.workspace.evidence import Evidence
from studio.backends.workspace.tracked import Part, Tracked
from studio.core import parts
from studio.core.errors import BackendError
from studio.core.event import Event

UNGATHERED = "all parts ended well, but none of them made one result of what they did"


def without_result(run: Tracked, shown: Event | None, evidence: Evidence) -> JobStatus:
    """Of a run whose jobs are over, and which left no result. Raises BackendError while nobody can look."""
    reasons = [(part, why) for part in run.parts if (why := _reason(part, run.handle, evidence))]
    if not reasons and any(part.was_stopped for part in run.parts):
        return endings.cancelled(shown, "its run was stopped in the workspace")
    message = _together(run, reasons, evidence) or UNGATHERED
    silent = next((part for part, _ in reasons), run.parts[0])
    if last := evidence.tail(run.handle, silent.beacon.part):
        message = f"{message}\nthe end of its log:\n{last}"
    return with_page(JobStatus(JobState.FAILED, shown, None, message, endings.RESUME), run, evidence)


def with_page(status: JobStatus, run: Tracked, evidence: Evidence) -> JobStatus:
    """A failure with where to look at its run."""
    first = run.parts[0]
    where = f"its run is of the job {first.name} in {evidence.page(first.job_id)}"
    return replace(status, hint=f"{status.hint}; {where}" if status.hint else where)


def _reason(part: Part, handle: Handle, evidence: Evidence) -> str:
    """Why a job has no result of its own, or what that says; "" where it did well or was stopped."""
    left = evidence.result(handle, part.beacon.part, None) if part.beacon.part else None
    if left:
        return left.message
    if part.was_stopped:
        return ""
    if part.end and part.end.code:
        return endings.death(part.end.code)
    return part.standing.end if part.standing else "the job ended without a result"


def _together(run: Tracked, reasons: list[tuple[Part, str]], evidence: Evidence) -> str:
    """The reasons, and of which parts each is where there are several."""
    if len(run.parts) == 1:
        return reasons[0][1] if reasons else ""
    named = [f"{_title(part, run.handle, evidence)}: {why}" for part, why in reasons]
    counted = f"{len(named)} of {len(run.parts)} parts failed; " if len(named) > 1 else ""
    return counted + "; ".join(named)


def _title(part: Part, handle: Handle, evidence: Evidence) -> str:
    """What a part is about, as far as any of the jobs wrote that down."""
    try:
        spec = evidence.spec(handle, part.beacon.part)
    except BackendError:
        spec = None
    return parts.title(spec, part.beacon.part) if spec else f"part {part.beacon.part}"
