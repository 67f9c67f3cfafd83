"""The loop: unblocked actions, submit, wait for any, record, unblock.

A failed action blocks only what depends on it. Before a job is submitted its intent is committed; after a crash the
intent is resolved by asking the backend for the key, never by submitting twice. A backend that does not answer about
one job holds up no other, and a job that nobody can ask about is never called failed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from studio.apply.errand import Errand, Work
from studio.apply.flight import Flight
from studio.apply.outcome import GOOD, IMPROVE, UNBLOCKS, Ending, Outcome, first_failure, remark
from studio.apply.patience import Patience, unanswered
from studio.apply.recording import registrations
from studio.apply.room import Room
from studio.apply.selecting import chosen
from studio.apply.submission import ENDED, Submitter, UncertainError
from studio.apply.tools import Tools
from studio.backends.base import JobState, JobStatus
from studio.core.errors import BackendError, RefusedError, StudioError
from studio.core.jobspec import Resources
from studio.core.references import Ref
from studio.desired import Desired
from studio.plan.actions import REMOVES, Action, Plan, Verb
from studio.state.base import Artifact, RunStatus


@dataclass(slots=True)
class Loop:
    """One apply. ``outcomes`` fills as actions end; what is interrupted stays in ``flights``."""

    tools: Tools
    plan: Plan
    outcomes: dict[Ref, Outcome] = field(default_factory=dict)
    flights: dict[Ref, Flight] = field(default_factory=dict)
    waiting: dict[Ref, Action] = field(default_factory=dict)
    """What has not begun yet."""
    blockers: dict[Ref, Ref] = field(default_factory=dict)
    """What is blocked, and the failure at the root of it."""
    silences: dict[Ref, Patience] = field(default_factory=dict)
    """What could not begin because the backend did not answer."""
    met: set[Ref] = field(default_factory=set)
    """Jobs of which it is known that no earlier apply left them running."""
    told: set[Ref] = field(default_factory=set)
    """What waits for room, and was said to."""
    room: Room = field(init=False)
    submitter: Submitter = field(init=False)

    def __post_init__(self) -> None:
        tools = self.tools
        self.room = Room(tools.backend, tools.parallelism)
        self.submitter = Submitter(tools.target.environment, tools.state, tools.backend, tools.now)

    def run(self) -> dict[Ref, Outcome]:
        self.waiting = {action.ref: action for action in self.plan.actions}
        self._register()
        while self.waiting or self.flights:
            self.tools.state.demand_lease()
            self.room.renew()
            free = (each for each in list(self.waiting.values()) if self.outcomes.keys() >= {*each.needs})
            begun = [each.ref for each in free if self._try(each)]
            for ref in begun:
                del self.waiting[ref]
            if self._land() or begun:
                continue
            if self.tools.manner.detach or self.tools.manner.leaves():
                break
            self.tools.sleep(self.tools.poll_seconds)
        return self.outcomes

    def _register(self) -> None:
        """Record at once what runs nothing and waits for nothing that runs, then tell of it."""
        actions = list(registrations(self.plan))
        new = (action.ref for action in actions if action.verb is not Verb.NONE)
        self.tools.recorder.register(*(self.tools.desire.items[ref] for ref in new))
        for action in actions:
            del self.waiting[action.ref]
            self._done(action, Ending.SKIPPED if action.verb is Verb.NONE else Ending.DONE)

    def _try(self, action: Action) -> bool:
        """Begin an action; False while it must wait: for room, for the backend, or for the same work under way."""
        failed = [need for need in action.needs if self.outcomes[need].ending not in UNBLOCKS]
        if failed:
            self.blockers[action.ref] = self.blockers.get(failed[0], failed[0])
            self._end(action, Ending.BLOCKED, f"by {self.blockers[action.ref]}")
            return True
        if self.tools.manner.fail_fast and action.verb is not Verb.NONE and (failure := first_failure(self.outcomes)):
            self._end(action, Ending.UNSTARTED, f"because of {failure}")
            return True
        silence = self.silences.get(action.ref)
        if silence and not silence.is_due:
            return False
        try:
            return self._begin(action)
        except BackendError as error:
            return self._unheard(action, error)

    def _begin(self, action: Action) -> bool:
        if action.verb in REMOVES:
            return self._remove(action)
        item = self.tools.desire.items[action.ref]
        action = replace(action, fingerprint=item.fingerprint)  # known once the sweeps that it depends on have chosen
        if action.verb is Verb.NONE:
            self._done(action, Ending.SKIPPED)
        elif action.chooses:
            return self._choose(action, item)
        elif action.dispatches or action.verb is Verb.REUSE:
            return self._work(action, item)
        elif revision := self._revision(action, item):
            return self._run(action, revision, lambda: False)
        else:
            self.tools.recorder.register(item)
            self._done(action, Ending.DONE)
        return True

    def _choose(self, action: Action, item: Desired) -> bool:
        """Take the best trial's artifact over as the sweep's own, and copy it where that is asked for."""
        try:
            artifact = self.tools.selector.choose(item, action.trials)
        except StudioError as error:
            self.tools.recorder.fail(item, error.message)
            self._end(action, Ending.FAILED, error.message, error.hint)
            return True
        if revision := self._revision(action, item):
            return self._run(action, revision, lambda: False)
        self.tools.recorder.adopt(item, artifact)
        self._done(action, Ending.DONE, chosen(artifact))
        return True

    def _remove(self, action: Action) -> bool:
        """Take a resource away: at once where that is possible, else by a job."""
        try:
            errand = self.tools.remover.begin(action)
        except BackendError:
            raise
        except StudioError as error:
            self._end(action, Ending.FAILED, error.message, error.hint)
            return True
        if errand is None:
            self._end(action, GOOD.get(action.verb, Ending.DONE))
            return True
        return self._run(action, errand, lambda: False)

    def _work(self, action: Action, item: Desired) -> bool:
        """Have a job's work done: by taking over what was done before, by attaching, or by starting it."""
        tools = self.tools
        asked = action.resources or Resources()
        fresh = action.fresh and not action.attaches  # a fresh run that died goes on from where it was
        work = Work(item, asked, tools.desire, tools.target, tools.state, tools.recorder, fresh)
        return self._run(action, self._revision(action, item) or work, lambda: self._is_settled(action, item))

    def _revision(self, action: Action, item: Desired) -> Errand | None:
        """What has to be said of a thing that was made before, where it is, before it is recorded."""
        return self.tools.reviser.errand(item, self._at_hand(action, item), again=action.revises)

    def _at_hand(self, action: Action, item: Desired) -> Artifact | None:
        artifact = None if action.fresh else self.tools.state.artifact(item.ref.kind, item.fingerprint)
        return artifact if artifact and self.tools.present(artifact) else None

    def _run(self, action: Action, errand: Errand, is_settled: Callable[[], bool]) -> bool:
        """Get an errand under way, unless it is settled without a job; False while it must wait."""
        if any(flight.action.fingerprint == action.fingerprint for flight in self.flights.values()):
            return False
        if action.ref not in self.met:
            if is_settled() or self._attach(action, errand) or self._was_cancelled(action, errand):
                return True
            self.met.add(action.ref)
        lacking = self.room.lacking(errand.resources, len(self.flights))
        if lacking:
            if action.ref not in self.told:
                self.told.add(action.ref)
                self.tools.watcher.waiting(action, f"waits for {lacking}")
            return False
        if not is_settled():  # the same work may have ended while this one waited for room
            self._start(action, errand)
        return True

    def _is_settled(self, action: Action, item: Desired) -> bool:
        """Whether no job is needed: an export is held back, or the work was done before."""
        held = self.tools.recorder.held_back(item)
        if held:
            self._end(action, Ending.HELD, held, IMPROVE)
            return True
        artifact = self._at_hand(action, item)
        if artifact is None or self._revision(action, item):
            return False
        self.tools.recorder.adopt(item, artifact)
        self._done(action, Ending.REUSED, f"from {artifact.origin}")
        return True

    def _attach(self, action: Action, errand: Errand) -> bool:
        job = self.submitter.attach(errand)
        if job is None:
            return False
        self.flights[action.ref] = Flight(action, errand, job, Patience(self.tools.clock), attached=True)
        self.tools.watcher.started(action, f"attached to the running job {job.run.key}")
        return True

    def _was_cancelled(self, action: Action, errand: Errand) -> bool:
        """Whether the job that was to be waited for was stopped meanwhile: then what is recorded stays as it is."""
        last = next(iter(self.tools.state.attempts(errand.key)), None) if action.only_waits else None
        if last is None or last.status is not RunStatus.CANCELLED:
            return False
        hint = f"what is recorded stays; to run the job again, apply with --replace {action.ref}"
        self._end(action, Ending.CANCELLED, last.error, hint)
        return True

    def _start(self, action: Action, errand: Errand) -> None:
        tools = self.tools
        try:
            spec = self.submitter.compiled(errand)
        except BackendError:
            raise
        except StudioError as error:
            return self._fail(action, errand, error)
        try:
            job = self.submitter.start(spec)
        except UncertainError as error:
            self._end(action, Ending.LOST, error.message, error.hint)
        except BackendError as error:
            self._fail(action, errand, error)
        else:
            self.room.take(spec.resources)
            self.flights[action.ref] = Flight(action, errand, job, Patience(tools.clock))
            tools.watcher.started(action, f"started as {spec.key}")

    def _land(self) -> bool:
        """Look at every job once; whether any has ended."""
        ended = False
        for ref, flight in list(self.flights.items()):
            silent = flight.silence is not None
            status = flight.look(self.tools.backend)
            if flight.silence and not silent:
                message = f"no answer about its job: {flight.silence.message}; it is asked again"
                self.tools.watcher.waiting(flight.action, message)
            if status and (event := flight.news(status)):
                self.tools.watcher.progressed(flight.action, event)
            if flight.is_lost or (status and status.state is not JobState.RUNNING):
                del self.flights[ref]
                self._landed(flight, status)
                ended = True
        return ended

    def _landed(self, flight: Flight, status: JobStatus | None) -> None:
        tools, job, action = self.tools, flight.job, flight.action
        if status is None:
            message = unanswered(flight.silence) if flight.silence else ""
            self._end(action, Ending.LOST, message, "its job may still run; the next apply attaches to it", flight)
            return
        closed = replace(job.run, status=ENDED[status.state], finished_at=tools.now(), error=status.message)
        if status.state is JobState.SUCCEEDED and status.result:  # its message is a remark
            closed = replace(closed, error="")
            with tools.state.together():  # a crash never leaves a record whose run looks open
                flight.errand.succeeded(job.run, status.result)
                tools.state.save_run(closed)
            self._done(action, GOOD.get(action.verb, Ending.DONE), status.message or remark(status.result), flight)
            return
        if status.state is JobState.CANCELLED:  # somebody's wish, and no news about the resource
            tools.state.save_run(closed)
            self._end(action, Ending.CANCELLED, status.message, status.hint, flight)
            return
        with tools.state.together():
            flight.errand.failed(status.message)
            tools.state.save_run(closed)
        self._end(action, Ending.FAILED, status.message, status.hint, flight)

    def _unheard(self, action: Action, error: BackendError) -> bool:
        """The backend did not answer before anything was started: ask again later, up to a point, unless it said no."""
        silence = self.silences.setdefault(action.ref, Patience(self.tools.clock))
        refused = isinstance(error, RefusedError)
        if silence.was_ignored() and not refused:
            self.tools.watcher.waiting(action, f"waits for the backend: {error.message}")
        if not (refused or silence.is_exhausted):
            return False
        self._end(action, Ending.LOST if action.attaches else Ending.FAILED, unanswered(error), error.hint)
        return True

    def _fail(self, action: Action, errand: Errand, error: StudioError) -> None:
        errand.failed(error.message)
        self._end(action, Ending.FAILED, error.message, error.hint)

    def _done(self, action: Action, ending: Ending, message: str = "", flight: Flight | None = None) -> None:
        """A good end, unless it is an evaluation whose gates are not met."""
        missed = self.tools.recorder.missed_gates(action.ref)
        if missed:
            self._end(action, Ending.MISSED, "; ".join(missed), IMPROVE, flight)
        else:
            self._end(action, ending, message, flight=flight)

    def _end(
        self, action: Action, ending: Ending, message: str = "", hint: str = "", flight: Flight | None = None
    ) -> None:
        attached = flight is not None and flight.attached
        outcome = Outcome(action, ending, message, hint, attached, has_log=flight is not None)
        self.outcomes[action.ref] = outcome
        self.tools.watcher.finished(outcome)
