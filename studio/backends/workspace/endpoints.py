"""What is no job in a workspace: endpoints, which are deployed, changed in place and withdrawn.

The workspace is asked at a pace: a sixtieth of how long the attempt is under way, as it is of jobs. Between two looks
``poll`` answers from what is known. What is under way is found again by its marks in the workspace; a withdrawal
leaves none, and is simply begun again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import assert_never

from studio.backends.base import EndpointLook, Handle, JobState, JobStatus
from studio.backends.workspace import marks
from studio.backends.workspace.calls import Calls
from studio.backends.workspace.deploying import Deploying, Flight, Step
from studio.backends.workspace.marks import Mark
from studio.backends.workspace.models import Models
from studio.backends.workspace.pace import pace
from studio.core.endpoint import (
    AdjustmentOutput,
    AdjustmentWork,
    DeploymentOutput,
    DeploymentWork,
    WithdrawalOutput,
    WithdrawalWork,
)
from studio.core.errors import RefusedError
from studio.core.event import Event
from studio.core.job_keys import is_removal, is_revision
from studio.core.jobresult import JobResult
from studio.core.jobspec import JobSpec

EndpointWork = DeploymentWork | AdjustmentWork | WithdrawalWork
ENDPOINT = "endpoint"
"""The detail by which a handle of an endpoint is told from one of a job."""
LONGEST_SECONDS = {
    "build": 3600.0, "built": 300.0, "deploy": 3600.0, "make way": 900.0, "tidy": 900.0, "withdraw": 900.0,
}  # fmt: skip
"""After so long in one phase something is wrong that waiting does not cure, such as a GPU that is never free."""


@dataclass(slots=True)
class Watched:
    """A flight as it was seen last. Times are in seconds since the epoch."""

    flight: Flight
    work: EndpointWork | None
    began: float
    due: float = float("-inf")
    phase_since: float = 0.0
    status: JobStatus = field(default_factory=lambda: JobStatus(JobState.RUNNING))
    told: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Of one project. ``clock`` is in seconds since the epoch."""

    deploying: Deploying
    clock: Callable[[], float]
    _watched: dict[tuple[str, int], Watched] = field(default_factory=dict)

    def submit(self, spec: JobSpec) -> Handle:
        """Begin; what is refused is refused here, as far as that can be known now."""
        work = spec.work
        if not isinstance(work, DeploymentWork | AdjustmentWork | WithdrawalWork):
            raise TypeError(f"{spec.key} is no work of an endpoint")
        handle = Handle(spec.key, spec.attempt, {ENDPOINT: work.model_name})
        watched = Watched(Flight(handle, spec=spec), work, self.clock())
        with self._calls.budget():
            match work:
                case DeploymentWork():
                    self.deploying.prepare(watched.flight, spec, work)
                case AdjustmentWork():
                    self.deploying.adjust(watched.flight, work)
                case WithdrawalWork():
                    self._find_model(watched.flight, work)
                case _:
                    assert_never(work)
        self._watched[spec.key, spec.attempt] = watched
        return handle

    def find(self, key: str, attempt: int) -> Handle | None:
        """An attempt that was begun and left its mark: one listing of the models, and one for each of them."""
        if known := self._watched.get((key, attempt)):
            return known.flight.handle
        mark = Mark(key, attempt)
        for made, model_id, build_id, name in self._marks(key):
            if mark.made(made):
                flight = Flight(Handle(key, attempt, {ENDPOINT: name}), model_id, build_id)
                self._watched[key, attempt] = Watched(flight, None, self.clock())
                return flight.handle
        return None

    def attempts(self, key: str) -> int:
        known = (attempt for held, attempt in self._watched if held == key)
        return max((*known, *(mark.attempt for mark, *_ in self._marks(key) if mark.key == key)), default=0)

    def poll(self, handle: Handle) -> JobStatus:
        watched = self._of(handle)
        now = self.clock()
        if watched.status.state is not JobState.RUNNING or now < watched.due:
            return watched.status
        with self._calls.budget():
            step = self._next(watched)
            self._note(watched, self._in_time(watched, step))
            if step.state is JobState.SUCCEEDED:
                result = self._result(watched, step)
                watched.status = JobStatus(JobState.SUCCEEDED, watched.status.progress, result)
        watched.due = self.clock() + pace(now - watched.began)
        return watched.status

    def cancel(self, handle: Handle) -> None:
        """A build is deleted, a deployment stopped; what is being taken away goes all the same."""
        flight = self._of(handle).flight
        with self._calls.budget():
            if self.deploying.bringing.cancel(handle) or not flight.build_id or is_removal(handle.key):
                return
            self._stop(flight)
        self._of(handle).due = float("-inf")

    def log(self, handle: Handle) -> Notes:
        return Notes(self, handle)

    def told(self, handle: Handle) -> list[str]:
        """What was seen so far, line by line, and where there is more."""
        watched = self._of(handle)
        more = f"logs of its build and replicas: {self.deploying.page(watched.flight.model_id)}\n"
        return [*watched.told, *([more] if watched.flight.model_id else [])]

    def look(self, model_id: str) -> EndpointLook | None:
        """An endpoint as it is now; None when it is gone."""
        with self._calls.budget():
            return self.deploying.seen(model_id)

    @property
    def _models(self) -> Models:
        return self.deploying.models

    @property
    def _calls(self) -> Calls:
        return self._models.calls

    def _of(self, handle: Handle) -> Watched:
        found = self._watched.get((handle.key, handle.attempt))
        if found is None and self.find(handle.key, handle.attempt):
            found = self._watched[handle.key, handle.attempt]
        if found is None:
            raise RefusedError(f"the workspace knows nothing of {handle.key}", "apply again")
        return found

    def _marks(self, key: str) -> Iterator[tuple[Mark, str, str, str]]:
        """Marks in the project's models, with ids of model and build and the model's name."""
        if is_removal(key):
            return
        with self._calls.budget():
            for model in self._models.all():
                for build in self._models.builds(model.id):
                    if mark := marks.of_build(build):
                        yield mark, model.id, build.id, model.name
                        for each in self._models.deployments(model.id, build.id) if is_revision(key) else ():
                            if mark := marks.of_deployment(each):
                                yield mark, model.id, build.id, model.name

    def _find_model(self, flight: Flight, work: WithdrawalWork) -> None:
        """By its id; without one by its name, where a build in it is of the job that the endpoint was begun by."""
        model = self._models.get(work.model_id) if work.model_id else self._models.named(work.model_name)
        if model is not None and not work.model_id:
            made = (marks.of_build(build) for build in self._models.builds(model.id))
            model = model if any(mark and mark.key == work.made_by for mark in made) else None
        flight.model_id, flight.was_there = model.id if model else "", model is not None

    def _next(self, watched: Watched) -> Step:
        flight, work, key = watched.flight, watched.work, watched.flight.handle.key
        if is_removal(key):
            return self._withdraw(flight)
        if is_revision(key):
            return self.deploying.adjusted(flight, work if isinstance(work, AdjustmentWork) else None)
        if not flight.build_id and flight.spec and isinstance(work, DeploymentWork):
            try:
                return self.deploying.prepare(flight, flight.spec, work)
            except RefusedError as error:  # it is the work that is refused, not the question how it stands
                return Step("prepare", error.message, JobState.FAILED, error.hint)
        return self.deploying.follow(flight)

    def _withdraw(self, flight: Flight) -> Step:
        model = self._models.get(flight.model_id)
        try:
            gone = model is None or self._models.withdraw(model)
        except RefusedError as error:  # it is the deletion that is refused, not the question how it stands
            return Step("withdraw", error.message, JobState.FAILED, error.hint)
        state = JobState.SUCCEEDED if gone else JobState.RUNNING
        return Step("withdraw", "it is gone" if gone else "its deployments stop", state)

    def _note(self, watched: Watched, step: Step) -> None:
        """Keep what was seen; a new event only where there is news."""
        last = watched.status.progress
        if last is None or (last.phase, last.message) != (step.phase, step.message):
            if last is None or last.phase != step.phase:
                watched.phase_since = self.clock()
            last = Event(time=self.clock(), phase=step.phase, message=step.message)
            watched.told.append(f"{step.phase}: {step.message}\n")
        message = "" if step.state is JobState.RUNNING else step.message
        watched.status = JobStatus(step.state, last, None, message, step.hint)

    def _in_time(self, watched: Watched, step: Step) -> Step:
        """The same step, unless it has taken longer than makes sense: then what is under way is stopped."""
        last = watched.status.progress
        longest = LONGEST_SECONDS.get(step.phase)
        late = longest and last and last.phase == step.phase and self.clock() - watched.phase_since >= longest
        if step.state is not JobState.RUNNING or not (late and longest):
            return step
        flight = watched.flight
        if step.phase in ("build", "built", "deploy"):
            self._stop(flight)
        message = f"{step.message}, and has been for {longest / 60:.0f} min"
        hint = f"look at {self.deploying.page(flight.model_id)}, and whether CPU, memory and GPUs are free"
        return Step(step.phase, message, JobState.FAILED, hint)

    def _stop(self, flight: Flight) -> None:
        """Stop the attempt's own deployment; without one its build has no purpose."""
        models = self._models
        deployment = models.deployment_by(flight.model_id, flight.build_id, flight.mark)
        if deployment:
            models.stop(flight.model_id, flight.build_id, deployment)
        elif not is_revision(flight.handle.key) and (build := models.build(flight.model_id, flight.build_id)):
            models.delete_build(flight.model_id, build)

    def _result(self, watched: Watched, step: Step) -> JobResult:
        flight, began, now = watched.flight, watched.began, self.clock()
        return JobResult(
            key=flight.handle.key,
            attempt=flight.handle.attempt,
            fingerprint=flight.spec.fingerprint if flight.spec else flight.handle.key.rpartition("-")[2],
            output=self._output(flight, step),
            started_at=_iso(began),
            finished_at=_iso(now),
            seconds=round(now - began, 3),
        )

    def _output(self, flight: Flight, step: Step) -> DeploymentOutput | AdjustmentOutput | WithdrawalOutput:
        if is_removal(flight.handle.key):
            return WithdrawalOutput(model_name=flight.handle.details[ENDPOINT], was_there=flight.was_there)
        output = self.deploying.output(flight, step.deployment)
        if not is_revision(flight.handle.key):
            return output
        return AdjustmentOutput(
            deployment_id=output.deployment_id,
            description=output.description,
            size=output.size,
            changes=tuple(flight.changes),
        )


@dataclass(slots=True)
class Notes:
    """What is told of an endpoint in place of a log, which the API does not give."""

    endpoints: Endpoints
    handle: Handle
    _read: int = 0

    def skip(self, last: int) -> None:
        self._read = max(0, len(self._told()) - last)

    def lines(self, *, unfinished: bool = True) -> Iterator[str]:
        told = self._told()
        new, self._read = told[self._read :], len(told)
        yield from new

    def _told(self) -> list[str]:
        self.endpoints.poll(self.handle)
        return self.endpoints.told(self.handle)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
