"""The loop: unblocked actions, submit, wait for any, record, unblock.

A failed action blocks only what depends on it. Before a job is submitted its intent is committed; after a crash the
intent is resolved by asking the backend for the key, never by submitting twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol

from studio.backends.base import Backend, Handle, JobState, JobStatus
from studio.compile import Target, compile_job, job_key
from studio.core.errors import StudioError
from studio.core.jobspec import Event, JobSpec
from studio.core.references import Ref
from studio.desired import Desire, Desired
from studio.plan import Action, Plan, Verb
from studio.recording import Recorder
from studio.resources.model_export import ModelExport
from studio.state.base import ACTIVE, Artifact, Run, RunStatus, StateStore


class Ending(StrEnum):
    """How an action ended."""

    DONE = "done"
    REUSED = "reused"
    FAILED = "failed"
    BLOCKED = "blocked"
    HELD = "held back"
    SKIPPED = "nothing to do"
    MISSED = "done, gate missed"


UNBLOCKS = frozenset({Ending.DONE, Ending.REUSED, Ending.SKIPPED, Ending.MISSED})
"""Endings after which dependants go on; a missed gate holds back only the exports that require it."""
IMPROVE = "improve the model or the gate, then apply again"
FINE = UNBLOCKS - {Ending.MISSED}


@dataclass(frozen=True, slots=True)
class Outcome:
    """One action's end: what happened, in words, and what to do next."""

    action: Action
    ending: Ending
    message: str = ""
    hint: str = ""


class Watcher(Protocol):
    """Told what happens, as it happens."""

    def started(self, action: Action, message: str) -> None: ...

    def waiting(self, action: Action, message: str) -> None: ...

    def progressed(self, action: Action, event: Event) -> None: ...

    def finished(self, outcome: Outcome) -> None: ...


@dataclass(frozen=True, slots=True)
class Tools:
    """What the loop works with. ``now`` is ISO 8601 in UTC, ``clock`` and ``sleep`` are in seconds."""

    desire: Desire
    target: Target
    state: StateStore
    backend: Backend
    recorder: Recorder
    watcher: Watcher
    now: Callable[[], str]
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    present: Callable[[Artifact], bool]
    parallelism: int = 4
    poll_seconds: float = 0.5


@dataclass(slots=True)
class Flight:
    """A job under way."""

    action: Action
    item: Desired
    spec: JobSpec
    run: Run
    handle: Handle
    last: float = 0.0
    """Time of the latest event shown; events of an earlier attempt are older than the submission."""


@dataclass(slots=True)
class Loop:
    """One apply. ``outcomes`` fills as actions end; what is interrupted stays in ``flights``."""

    tools: Tools
    plan: Plan
    outcomes: dict[Ref, Outcome] = field(default_factory=dict)
    flights: dict[Ref, Flight] = field(default_factory=dict)
    blockers: dict[Ref, Ref] = field(default_factory=dict)
    """What is blocked, and the failure at the root of it."""
    told: set[Ref] = field(default_factory=set)
    """What waits for room, and was said to."""

    def run(self) -> dict[Ref, Outcome]:
        waiting = {action.ref: action for action in self.plan.actions}
        while waiting or self.flights:
            begun = [ref for ref, action in waiting.items() if self._unblocked(action) and self._try(action)]
            for ref in begun:
                del waiting[ref]
            landed = self._land()
            if not begun and not landed:
                self.tools.sleep(self.tools.poll_seconds)
        return self.outcomes

    def _try(self, action: Action) -> bool:
        """Begin an action unless its job must wait: for room, or for the same work that is under way."""
        if action.dispatches:
            if any(flight.action.fingerprint == action.fingerprint for flight in self.flights.values()):
                return False
            if not self._room(action):
                if action.ref not in self.told:
                    self.told.add(action.ref)
                    self.tools.watcher.waiting(action, "waits for free CPU, memory or GPU")
                return False
        self._begin(action)
        return True

    def _unblocked(self, action: Action) -> bool:
        return all(need in self.outcomes for need in action.needs)

    def _room(self, action: Action) -> bool:
        """Whether the job may start now. What could never start here is let through, to fail with the reason."""
        if len(self.flights) >= self.tools.parallelism:
            return False
        asked = action.resources
        if asked is None or (not self.flights and asked.gpu > self.tools.backend.total().gpu):
            return True
        return self.tools.backend.capacity().fits(asked) or self._in_flight_elsewhere(action)

    def _in_flight_elsewhere(self, action: Action) -> bool:
        """A job that an earlier apply left running takes no new room."""
        item = self.tools.desire.items[action.ref]
        earlier = next(iter(self.tools.state.attempts(job_key(item))), None)
        return bool(earlier and earlier.status in ACTIVE and self.tools.backend.find(earlier.key, earlier.attempt))

    def _begin(self, action: Action) -> None:
        failed = [need for need in action.needs if self.outcomes[need].ending not in UNBLOCKS]
        if failed:
            self.blockers[action.ref] = self.blockers.get(failed[0], failed[0])
            self._end(action, Ending.BLOCKED, f"by {self.blockers[action.ref]}")
            return
        item = self.tools.desire.items[action.ref]
        if action.verb is Verb.NONE:
            self._done(action, Ending.SKIPPED)
        elif action.dispatches:
            self._dispatch(action, item)
        elif action.verb is Verb.REUSE:
            self._reuse(action, item)
        else:
            self.tools.recorder.register(item)
            self._done(action, Ending.DONE)

    def _reuse(self, action: Action, item: Desired) -> None:
        artifact = self.tools.state.artifact(item.ref.kind, item.fingerprint)
        held = self._held_back(item)
        if held:
            self._end(action, Ending.HELD, held, IMPROVE)
        elif artifact is None:
            self._dispatch(action, item)
        else:
            self._adopt(action, item, artifact)

    def _adopt(self, action: Action, item: Desired, artifact: Artifact) -> None:
        self.tools.recorder.adopt(item, artifact)
        self._done(action, Ending.REUSED, f"from run {artifact.run_key}")

    def _dispatch(self, action: Action, item: Desired) -> None:
        held = self._held_back(item)
        if held:
            self._end(action, Ending.HELD, held, IMPROVE)
            return
        artifact = self.tools.state.artifact(item.ref.kind, item.fingerprint)
        if artifact and self.tools.present(artifact):
            self._adopt(action, item, artifact)  # the same work was done since the plan was made
            return
        try:
            self.flights[action.ref] = self._submit(action, item)
        except StudioError as error:
            self.tools.recorder.fail(item, error.message)
            self._end(action, Ending.FAILED, error.message, error.hint)

    def _submit(self, action: Action, item: Desired) -> Flight:
        tools = self.tools
        earlier = next(iter(tools.state.attempts(job_key(item))), None)
        if earlier and earlier.status in ACTIVE:
            spec = compile_job(item, tools.desire, tools.target, tools.state, earlier.attempt)
            handle = tools.backend.find(spec.key, spec.attempt)
            if handle and self._is_worth_attaching(earlier, handle):
                tools.watcher.started(action, f"attached to the running job {spec.key}")
                return Flight(action, item, spec, earlier, handle)
            if handle:
                spec = compile_job(item, tools.desire, tools.target, tools.state, earlier.attempt + 1)
        else:
            attempt = max(earlier.attempt if earlier else 0, tools.backend.attempts(job_key(item))) + 1
            spec = compile_job(item, tools.desire, tools.target, tools.state, attempt)
        run = self._intent(item, spec)
        tools.state.save_run(run)
        try:
            handle = tools.backend.submit(spec)
        except StudioError as error:
            tools.state.save_run(replace(run, status=RunStatus.FAILED, finished_at=tools.now(), error=error.message))
            raise
        run = replace(run, status=RunStatus.SUBMITTED, handle=handle.details)
        tools.state.save_run(run)
        tools.watcher.started(action, f"started as {spec.key}")
        return Flight(action, item, spec, run, handle, last=tools.clock())

    def _is_worth_attaching(self, run: Run, handle: Handle) -> bool:
        """A job that was killed while nobody watched left nothing to record but that; it is resumed at once."""
        status = self.tools.backend.poll(handle)
        if status.state is JobState.RUNNING or status.result:
            return True
        ended = replace(run, status=RunStatus.FAILED, finished_at=self.tools.now(), error=status.message)
        self.tools.state.save_run(ended)
        return False

    def _intent(self, item: Desired, spec: JobSpec) -> Run:
        tools = self.tools
        return Run(
            spec.key, spec.attempt, tools.target.environment, item.ref, item.fingerprint, tools.backend.name,
            RunStatus.INTENT, submitted_at=tools.now(),
        )  # fmt: skip

    def _land(self) -> bool:
        """Poll every job once; whether any has ended."""
        ended = False
        for ref, flight in list(self.flights.items()):
            status = self.tools.backend.poll(flight.handle)
            if status.progress and status.progress.time > flight.last:
                flight.last = status.progress.time
                self.tools.watcher.progressed(flight.action, status.progress)
            if status.state is not JobState.RUNNING:
                del self.flights[ref]
                self._landed(flight, status)
                ended = True
        return ended

    def _landed(self, flight: Flight, status: JobStatus) -> None:
        tools, run = self.tools, flight.run
        if status.state is JobState.SUCCEEDED and status.result:
            tools.recorder.succeed(flight.item, flight.spec, status.result)
            tools.state.save_run(replace(run, status=RunStatus.SUCCEEDED, finished_at=tools.now()))
            self._done(flight.action, Ending.DONE)
            return
        ending = RunStatus.CANCELLED if status.state is JobState.CANCELLED else RunStatus.FAILED
        tools.recorder.fail(flight.item, status.message)
        tools.state.save_run(replace(run, status=ending, finished_at=tools.now(), error=status.message))
        self._end(flight.action, Ending.FAILED, status.message, status.hint)

    def _done(self, action: Action, ending: Ending, message: str = "") -> None:
        """A good end, unless it is an evaluation whose gates are not met."""
        missed = self.tools.recorder.missed_gates(action.ref)
        if missed:
            self._end(action, Ending.MISSED, "; ".join(missed), IMPROVE)
        else:
            self._end(action, ending, message)

    def _held_back(self, item: Desired) -> str:
        """Why an export must not happen: a required evaluation misses a gate."""
        if not isinstance(item.resource, ModelExport):
            return ""
        for name in item.resource.spec.requires:
            missed = self.tools.recorder.missed_gates(Ref("EvaluationJob", name))
            if missed:
                return f"EvaluationJob/{name} misses a gate: {'; '.join(missed)}"
        return ""

    def _end(self, action: Action, ending: Ending, message: str = "", hint: str = "") -> None:
        outcome = Outcome(action, ending, message, hint)
        self.outcomes[action.ref] = outcome
        self.tools.watcher.finished(outcome)
