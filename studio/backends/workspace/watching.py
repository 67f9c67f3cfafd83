"""Watching many runs with few calls.

One listing of the folder of beacons, at a pace, tells of all runs that anybody asks about; a beacon is read at the pace
of its own job. The workspace is asked about a single run only while that has not told anything, or not for long: a pod
that dies has no last word. Between two looks ``poll`` answers from what is known, so it may be called at any rate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from studio.backends.base import Handle, JobState, JobStatus
from studio.backends.workspace import verdict
from studio.backends.workspace.evidence import Evidence
from studio.backends.workspace.pace import FASTEST_SECONDS, pace
from studio.backends.workspace.standing import Engine
from studio.backends.workspace.tracked import Part, Tracked, progress
from studio.core.errors import BackendError

SILENT_SECONDS = 30.0
"""A job that has told nothing for so long is asked for."""
CALLS_PER_SECOND = 10.0
"""On average, about single runs: of very many each is looked at the more seldom."""
SELDOM = 4
"""How much more seldom a run is asked for than the beacons are listed."""
LATE_SECONDS = 60.0
"""How long files of a run that has ended may take to be seen; the project's disk is a network's."""
CLOCKS_SECONDS = 120.0
"""How far the workspace's clock may be from this one; what ended before that, by its clock, ended long ago by ours."""
TOLD_SECONDS = 10.0
"""The same where the job's last beacon is seen, which it writes after its result."""


@dataclass(slots=True)
class Watching:
    """``clock`` is in seconds since the epoch."""

    evidence: Evidence
    clock: Callable[[], float]
    _runs: dict[tuple[str, int], Tracked] = field(default_factory=dict)
    _lit: frozenset[str] = frozenset()
    """Names of the beacons at the last listing."""
    _listed_at: float = float("-inf")
    _list_due: float = float("-inf")
    _crowd_seconds: float = 0.0
    """How long it takes to look at each run once."""
    _silence: BackendError | None = None
    """Why the last listing failed; for as long as it would be good it is not tried again."""

    def poll(self, handle: Handle) -> JobStatus:
        """Where an attempt stands. Raises BackendError while the workspace does not say."""
        run = self._tracked(handle)
        if run.final is None:
            with self.evidence.calls.budget():
                self._list()
                for part in run.parts:
                    self._look(part, run)
                run.final = self._ended(run) if all(part.is_over for part in run.parts) else None
        return run.final or JobStatus(JobState.RUNNING, progress(run, self.clock()))

    def hurry(self, handle: Handle) -> None:
        """A run was asked to stop: look often, as if it had just begun."""
        run = self._tracked(handle)
        run.since = self.clock()
        run.hurried = True
        self._list_soon()
        for part in run.parts:
            part.next_heard = part.next_asked = 0.0

    def _tracked(self, handle: Handle) -> Tracked:
        key = (handle.key, handle.attempt)
        if key not in self._runs:
            self._runs[key] = Tracked.of(handle, self.clock())
            self._list_soon()
        return self._runs[key]

    def _pace(self, run: Tracked) -> float:
        return pace(self.clock() - run.since)

    def _list_soon(self) -> None:
        self._list_due = min(self._list_due, self._listed_at + FASTEST_SECONDS)

    def _list(self) -> None:
        """See which beacons there are, at the pace of the youngest run."""
        if self.clock() >= self._list_due:
            self._silence = None
            try:
                self._lit = self.evidence.lit()
            except BackendError as error:
                self._silence = error
            self._listed_at = self.clock()
            under_way = [run for run in self._runs.values() if run.final is None]
            self._list_due = self._listed_at + min(self._pace(run) for run in under_way)
            self._crowd_seconds = sum(len(run.parts) for run in under_way) / CALLS_PER_SECOND
        if self._silence:
            raise self._silence

    def _look(self, part: Part, run: Tracked) -> None:
        now = self.clock()
        if part.is_over:
            return
        if part.beacon.end.name in self._lit:
            part.end, part.is_told = self.evidence.end(part.beacon), True
            part.over_at = _since(part.end.time if part.end else None, now)
            return
        rest = self._pace(run) if run.hurried else max(self._pace(run), self._crowd_seconds)
        if part.beacon.name in self._lit and now >= part.next_heard:
            self._hear(part)
            part.next_heard = now + rest
        silent = part.event is None or now - part.heard_at >= max(SILENT_SECONDS, 2 * self._crowd_seconds)
        if (silent or run.hurried) and now >= part.next_asked:
            part.next_asked = now + rest * (1 if run.hurried else SELDOM)
            self._ask(part)

    def _hear(self, part: Part) -> None:
        event = self.evidence.event(part.beacon)
        if event:
            part.hears(event, self.clock())

    def _ask(self, part: Part) -> None:
        """Ask about a run. Raises BackendError where not even the workspace knows."""
        now = self.clock()
        found = self.evidence.standing(part.job_id, part.run_id, now)
        if part.standing is None or found.engine is not part.standing.engine:
            part.standing = found
        if found.is_over:
            part.over_at = _since(found.since, now)
        elif found.engine is Engine.UNKNOWN:
            part.next_asked = now + FASTEST_SECONDS
            raise BackendError(f"the workspace does not know where the run {part.run_id} stands", "look at it there")

    def _ended(self, run: Tracked) -> JobStatus | None:
        """What a run came to whose jobs are over; None while its files may still be on their way."""
        now = self.clock()
        if now < run.next_result:
            return None
        run.next_result = now + FASTEST_SECONDS
        shown = progress(run, now)
        found = self.evidence.result(run.handle, 0, shown)
        if found:
            return found if found.state is JobState.SUCCEEDED else verdict.with_page(found, run, self.evidence)
        told = all(part.is_told or part.was_stopped for part in run.parts)
        if now - run.over_at < (TOLD_SECONDS if told else LATE_SECONDS):
            return None
        return verdict.without_result(run, shown, self.evidence)


def _since(told: float | None, now: float) -> float:
    """Since when a job is over that was seen to be over just now, by this clock; ``told`` is by the workspace's."""
    return now if told is None or now - told < CLOCKS_SECONDS else told
