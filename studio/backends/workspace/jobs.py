"""Jobs of a workspace: one for each key and part, by a deterministic name; its runs are the attempts.

Nothing is created before somebody looked for it by that name, and nothing is created again before somebody looked
once more. Where something was delivered twice all the same, everybody agrees which one counts, and the spare goes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from studio.backends.base import Handle
from studio.backends.workspace import arguments, envelope, runs
from studio.backends.workspace.arguments import Told
from studio.backends.workspace.calls import Calls, MissingError, identified
from studio.backends.workspace.labels import Labels
from studio.backends.workspace.runs import Attempt
from studio.backends.workspace.templates import Templates, named
from studio.core import parts
from studio.core.errors import BackendError, RefusedError
from studio.core.jobspec import JobSpec

UPDATED: Mapping[str, Any] = {
    "cpu": 0.0, "memory": 0.0, "nvidia_gpu": 0, "accelerator_label_id": "", "arguments": "", "script": "", "kernel": "",
    "runtime_identifier": "", "runtime_addon_identifiers": [], "timeout": 0, "kill_on_timeout": False,
}  # fmt: skip
"""What a job of an earlier attempt may have to take over from a changed manifest or template, and what none is."""
FRESH_SECONDS = 5.0
"""For so long it is enough to have looked for a job in vain; when it was created, everybody looks again."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One part's job and run, as the workspace is asked for them."""

    name: str
    told: Told
    job: dict[str, Any]
    run: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Jobs:
    """``environ`` is where values of secrets are taken from."""

    calls: Calls
    templates: Templates
    labels: Labels
    environ: Mapping[str, str]
    _known: dict[tuple[str, int], Handle] = field(default_factory=dict)
    _cut: dict[tuple[str, int], str] = field(default_factory=dict)
    """Attempts of which only some parts were started, and in words how many."""
    _absent: dict[str, float] = field(default_factory=dict)
    """Names of jobs that were looked for and not found, and when."""

    def submit(self, spec: JobSpec) -> Handle:
        """Everything that can be refused without starting anything is found out first."""
        started: list[Attempt] = []
        with self.calls.budget():
            wanted = [self._wanted(part) for part in parts.parts(spec)]
        try:
            for each in wanted:
                with self.calls.budget():  # of its own: an evaluation may have more parts than a minute has room for
                    started.append(self._started(each))
        except BackendError as error:
            self._interrupted(spec, started, len(wanted), error)
            raise
        self._cut.pop((spec.key, spec.attempt), None)
        return self._remembered(spec.key, spec.attempt, [each.name for each in wanted], started)

    def find(self, key: str, attempt: int) -> Handle | None:
        """None also for an attempt of which some part was not started: submitting it again completes it."""
        if (key, attempt) in self._known:
            return self._known[key, attempt]
        if cut := self._cut.get((key, attempt)):
            raise BackendError(cut, "apply again: it starts the rest")
        with self.calls.budget():
            first, _ = runs.which_counts(self._first(key), attempt)
            if first is None:
                return None
            names = [name(key, part) for part in range(1, first.told.parts + 1)] if first.told.part else [key]
            others = [runs.which_counts(self._attempts(each), attempt)[0] for each in names[1:]]
        found = [first, *(each for each in others if each)]
        return self._remembered(key, attempt, names, found) if len(found) == len(names) else None

    def attempts(self, key: str) -> int:
        with self.calls.budget():
            return max((each.number for each in self._first(key)), default=0)

    def cancel(self, handle: Handle) -> None:
        """All parts, even where one cannot be stopped."""
        failed: BackendError | None = None
        for job in handle.details["jobs"]:
            try:
                with self.calls.budget():
                    runs.stop(self.calls, job["job_id"], job["run_id"])
            except BackendError as error:
                failed = error
        if failed:
            raise failed

    def _wanted(self, spec: JobSpec) -> Wanted:
        template = self.templates.for_task(spec.work.task)
        self.calls.hidden.update(envelope.secrets(spec, self.environ).values())
        environment, line = envelope.environment(spec, self.environ), arguments.line(spec)
        job = {
            "project_id": self.calls.project_id,
            "name": name(spec.key, spec.part),
            "script": template.script,
            "cpu": float(spec.resources.cpu),
            "memory": float(spec.resources.memory),
            "nvidia_gpu": spec.resources.gpu,
            "runtime_identifier": template.runtime,
            "arguments": line,
        }
        if template.addons:
            job["runtime_addon_identifiers"] = list(template.addons)
        if template.kernel:
            job["kernel"] = template.kernel
        if template.timeout:
            job |= {"timeout": template.timeout, "kill_on_timeout": True}
        if label := self.labels.of(spec.resources):
            job["accelerator_label_id"] = label
        told = Told(spec.key, spec.attempt, spec.part, parts.count(spec))
        return Wanted(name(spec.key, spec.part), told, job, {"environment": environment, "arguments": line})

    def _started(self, wanted: Wanted, again: bool = False) -> Attempt:
        """The run of an attempt, of which there is one when this returns."""
        there = self._there(wanted.name)
        attempts = self._of(there)
        counts, spare = runs.which_counts(attempts, wanted.told.attempt)
        if counts is None:
            _demand_over(wanted, attempts)
            job = self._updated(there[0], wanted) if there else self._created(wanted)
            try:
                made = self._run(job, wanted)
            except MissingError:  # somebody who does the same took the job for a spare one, before it had a run
                if again:
                    raise
                return self._started(wanted, again=True)
            # Calls may be delivered twice, or after nobody waits for them; and others may do the same at the same time.
            there = named(self.calls, wanted.name)
            counts, spare = runs.which_counts(self._of(there), wanted.told.attempt)
            counts = counts or made
        for each in spare:
            runs.stop(self.calls, each.job_id, each.run_id)
        for job in there:
            if job.id != counts.job_id:
                self._delete_unused(job)
        return counts

    def _created(self, wanted: Wanted) -> Any:
        client = self.calls.client
        what = f"create the job {wanted.name}"
        job = self.calls.effect(
            what,
            lambda: next(iter(named(self.calls, wanted.name)), None),
            client.create_job,
            wanted.job,
            self.calls.project_id,
        )
        return identified(job, what)

    def _updated(self, job: Any, wanted: Wanted) -> Any:
        """The job of an earlier attempt, with what changed since."""
        now = {key: wanted.job.get(key, none) for key, none in UPDATED.items()}
        now["timeout"] = str(now["timeout"])  # which is a number only where a job is created
        changed = {key: value for key, value in now.items() if _written(getattr(job, key)) != _written(value)}
        if changed:
            what = f"update the job {wanted.name}"
            self.calls.ask(what, self.calls.client.update_job, changed, self.calls.project_id, job.id)
        return job

    def _run(self, job: Any, wanted: Wanted) -> Attempt:
        what = f"run the job {wanted.name}"

        def made() -> Attempt | None:
            return runs.which_counts(runs.of_job(self.calls, job), wanted.told.attempt)[0]

        def create(*arguments: Any, **named: Any) -> Attempt:
            run = identified(self.calls.client.create_job_run(*arguments, **named), what)
            return runs.attempt_of(run, job.id, wanted.told)

        body = {"project_id": self.calls.project_id, "job_id": job.id, **wanted.run}
        return self.calls.effect(what, made, create, body, self.calls.project_id, job.id)

    def _delete_unused(self, job: Any) -> None:
        """A second job of the same name, which was never run, has no purpose; one that was run is history."""
        if not runs.listed(self.calls, job):
            with suppress(MissingError):
                self.calls.ask(
                    f"delete the job {job.name}", self.calls.client.delete_job, self.calls.project_id, job.id
                )

    def _interrupted(self, spec: JobSpec, started: list[Attempt], all: int, error: BackendError) -> None:
        """Of several parts some were started: where the rest is refused they are stopped, else they wait for it."""
        if not started:
            return
        if not isinstance(error, RefusedError):
            self._cut[spec.key, spec.attempt] = f"{len(started)} of {all} jobs of {spec.key} were started"
            return
        for each in started:
            with suppress(BackendError):  # the refusal is what there is to tell
                runs.stop(self.calls, each.job_id, each.run_id)

    def _first(self, key: str) -> list[Attempt]:
        """The attempts of a key, as its only job or that of its first part tells them: it is started first."""
        names = [name(key, 1), key] if parts.may_have_parts(key) else [key]
        return next((found for each in names if (found := self._attempts(each))), [])

    def _attempts(self, name: str) -> list[Attempt]:
        there = named(self.calls, name)
        if not there:
            self._absent[name] = self.calls.clock()
        return self._of(there)

    def _there(self, name: str) -> list[Any]:
        """The jobs of a name; what was just now looked for in vain is not looked for twice."""
        looked = self._absent.pop(name, -math.inf)
        return [] if self.calls.clock() - looked < FRESH_SECONDS else named(self.calls, name)

    def _of(self, jobs: list[Any]) -> list[Attempt]:
        return [each for job in jobs for each in runs.of_job(self.calls, job)]

    def _remembered(self, key: str, attempt: int, names: list[str], found: list[Attempt]) -> Handle:
        jobs = [
            {"job_id": each.job_id, "run_id": each.run_id, "name": name}
            for name, each in zip(names, found, strict=True)
        ]
        return self._known.setdefault((key, attempt), Handle(key, attempt, {"jobs": jobs}))


def name(key: str, part: int) -> str:
    """What a job is called in the workspace; ``part`` is 0 for a job that does all of the key's work."""
    return f"{key}.part-{part}" if part else key


def _written(value: object) -> str:
    """A setting in one spelling: the API writes some numbers as text, and in several ways what is not set."""
    return "" if value in (None, "", "0", 0, False, []) else str(value)


def _demand_over(wanted: Wanted, attempts: list[Attempt]) -> None:
    """Two attempts at once would write into the same folder."""
    alive = next((each for each in attempts if not each.is_over), None)
    if alive:
        state = "stops" if alive.status == runs.STOPPING else "runs"
        message = f"attempt {alive.number} of the job {wanted.name} still {state} in the workspace"
        raise RefusedError(message, "wait until it has ended, or stop it there; then apply again")
