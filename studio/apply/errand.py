"""What a job is for: how it is compiled, and what to record when it ended. The loop knows no more of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from studio.apply.recording import Recorder
from studio.compile import Target, compile_job
from studio.core.endpoint import DeploymentOutput
from studio.core.job_keys import job_key
from studio.core.jobresult import JobResult
from studio.core.jobspec import RUNS_FOLDER, JobSpec, Resources
from studio.core.jobspec import Work as JobWork
from studio.core.references import Ref
from studio.desired import Desire, Desired
from studio.load.tracked import tracking
from studio.state.base import Run, StateReader

SMALL = Resources(cpu=1, memory=1)
"""What a chore asks for: it talks to a server, or copies an adapter."""


class Errand(Protocol):
    """One resource's reason to run a job."""

    @property
    def key(self) -> str:
        """Deterministic; names the job on the backend."""

    @property
    def ref(self) -> Ref: ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def resources(self) -> Resources:
        """What the job asks for."""

    def spec(self, attempt: int) -> JobSpec:
        """Raises StudioError when something that the job needs is not there."""

    def succeeded(self, run: Run, result: JobResult) -> None: ...

    def failed(self, message: str) -> None: ...


@dataclass(frozen=True, slots=True)
class ForItem:
    """What is done for a resource that a manifest declares."""

    item: Desired

    @property
    def ref(self) -> Ref:
        return self.item.ref

    @property
    def fingerprint(self) -> str:
        return self.item.fingerprint


@dataclass(frozen=True, slots=True)
class Work(ForItem):
    """To do what a manifest says."""

    resources: Resources
    desire: Desire
    target: Target
    state: StateReader
    recorder: Recorder
    fresh: bool = False

    @property
    def key(self) -> str:
        return job_key(self.item.ref, self.item.fingerprint)

    def spec(self, attempt: int) -> JobSpec:
        spec = compile_job(self.item, self.desire, self.target, self.state, attempt)
        return spec.model_copy(update={"fresh": True}) if self.fresh else spec

    def succeeded(self, run: Run, result: JobResult) -> None:
        self.recorder.succeed(self.item, run, result)
        if isinstance(result.output, DeploymentOutput):
            self.recorder.outdate(self.item, result.output)

    def failed(self, message: str) -> None:
        self.recorder.fail(self.item, message)


def chore(errand: Errand, work: JobWork, target: Target, attempt: int) -> JobSpec:
    """The spec of a small job beside the resource's own."""
    return JobSpec(
        key=errand.key,
        attempt=attempt,
        kind=errand.ref.kind,
        name=errand.ref.name,
        fingerprint=errand.fingerprint,
        environment=target.environment,
        project_dir=str(target.root),
        run_dir=f"{RUNS_FOLDER}/{errand.key}",
        work=work,
        resources=errand.resources,
        tracking=tracking(target.settings),
    )
