"""A backend for tests of the loop: counts submissions and ends jobs as it is told, without running anything."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from studio.backends.base import Capacity, Handle, JobState, JobStatus
from studio.backends.log_file import LogFile
from studio.core.endpoint import DeploymentOutput, DeploymentWork, WithdrawalOutput, WithdrawalWork
from studio.core.fingerprints import folder_digest, tree
from studio.core.jobresult import (
    CombinationOutput,
    EvaluationOutput,
    ExportOutput,
    JobResult,
    Measures,
    Output,
    RemovalOutput,
    RevisionOutput,
    TrainingOutput,
)
from studio.core.jobspec import EvaluationWork, ExportWork, JobSpec, RemovalWork, RevisionWork, TrainingWork
from studio.core.kept import Kept

Ends = Callable[[JobSpec], JobStatus]
MEASURED = {"exact_match": 0.9}
"""What evaluations find of every adapter; a bare model gets 0."""


@dataclass
class CountingBackend:
    """``ends`` maps a resource's name to how its job ends; every other job succeeds after ``polls`` polls."""

    root: Path
    ends: dict[str, Ends] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=lambda: dict(MEASURED))
    polls: int = 1
    free: Capacity = field(default_factory=lambda: Capacity(16, 8, 64))
    submissions: list[tuple[str, int]] = field(default_factory=list)
    specs: dict[str, JobSpec] = field(default_factory=dict)
    polled: dict[str, int] = field(default_factory=dict)
    discarded: list[str] = field(default_factory=list)
    most_at_once: int = 0
    name: str = "counting"

    def submit(self, spec: JobSpec) -> Handle:
        self.submissions.append((spec.key, spec.attempt))
        self.specs[spec.key] = spec
        self.polled[spec.key] = 0
        self.most_at_once = max(self.most_at_once, len(self._running()))
        return Handle(spec.key, spec.attempt)

    def find(self, key: str, attempt: int) -> Handle | None:
        return Handle(key, attempt) if (key, attempt) in self.submissions else None

    def attempts(self, key: str) -> int:
        return max((attempt for known, attempt in self.submissions if known == key), default=0)

    def poll(self, handle: Handle) -> JobStatus:
        spec = self.specs[handle.key]
        self.polled[handle.key] += 1
        if self.polled[handle.key] <= self.polls:
            return JobStatus(JobState.RUNNING)
        return self.ends.get(spec.name, self.succeed)(spec)

    def concluded(self, status: JobStatus) -> JobStatus:
        return status

    def cancel(self, handle: Handle) -> None:
        self.ends[self.specs[handle.key].name] = lambda _: JobStatus(JobState.CANCELLED, message="cancelled")

    def log(self, handle: Handle) -> LogFile:
        return LogFile(self.root / ".studio" / "runs" / handle.key / "log.txt")

    def holds(self, location: str) -> bool:
        return (self.root / location).is_file()

    def discard(self, folder: str) -> None:
        self.discarded.append(folder)
        if (self.root / folder).is_dir():
            shutil.rmtree(self.root / folder)

    def capacity(self) -> Capacity:
        running = [self.specs[key].resources for key in self._running()]
        return Capacity(
            self.free.cpu - sum(each.cpu for each in running),
            self.free.gpu - sum(each.gpu for each in running),
            self.free.memory - sum(each.memory for each in running),
            idle=not running,
        )

    def total(self) -> Capacity:
        return self.free

    def succeed(self, spec: JobSpec) -> JobStatus:
        return JobStatus(JobState.SUCCEEDED, result=result_of(spec, self.metrics))

    def _running(self) -> list[str]:
        return [key for key, polled in self.polled.items() if polled <= self.polls]


def result_of(spec: JobSpec, metrics: Mapping[str, float] = MEASURED) -> JobResult:
    """What a job leaves that ends well, an adapter's file included. ``metrics`` are those of adapters."""
    return JobResult(
        key=spec.key,
        attempt=spec.attempt,
        fingerprint=spec.fingerprint,
        output=_output(spec, metrics),
        measures=Measures(device="cpu", rows=9, working_seconds=0.5),
        started_at="2026-01-01T00:00:00Z",
        finished_at="2026-01-01T00:00:01Z",
        seconds=1.0,
    )


def _output(spec: JobSpec, metrics: Mapping[str, float]) -> Output:
    work = spec.work
    if isinstance(work, TrainingWork):
        adapter = spec.folder / "adapter"
        adapter.mkdir(parents=True, exist_ok=True)
        (adapter / "adapter_model.safetensors").write_bytes(b"")
        location = str(adapter.relative_to(spec.project_dir))
        digest = folder_digest(tree(adapter))
        server = spec.tracking.server
        kept = Kept(server=server, run_id="run", path="adapter") if server else None
        copies = (f"{work.copy_to}/{work.adapter_name}",) if work.copy_to else ()
        return TrainingOutput(
            adapter=location, digest=digest, metrics=_losses(work), train_rows=9, held_out_rows=1, kept=kept,
            copies=copies,
        )  # fmt: skip
    if isinstance(work, EvaluationWork):
        return EvaluationOutput(combinations=tuple(_combinations(work, metrics)), rows=10)
    if isinstance(work, RemovalWork):
        return RemovalOutput(
            model_name=work.model_name,
            model_version=work.model_version,
            was_there=True,
            unregistering=work.unregistering,
        )
    if isinstance(work, RevisionWork):
        return RevisionOutput()
    if isinstance(work, WithdrawalWork):
        return WithdrawalOutput(model_name=work.model_name, was_there=True)
    if isinstance(work, DeploymentWork):
        return DeploymentOutput(
            model_name=work.model_name, model_id=f"id-of-{work.model_name}", build_id="b", deployment_id="d",
            url="https://modelservice.example.com/model", page="", access_key="", authentication=work.authentication,
            description=work.description, size=work.size, place="counting",
        )  # fmt: skip
    assert isinstance(work, ExportWork)
    uri = f"models:/{work.model_name}/1"
    return ExportOutput(model_name=work.model_name, model_version="1", uri=uri, description=work.description)


def _losses(work: TrainingWork) -> dict[str, float]:
    """Of a sweep's trial, so that one can be chosen: what trains faster ends lower."""
    return {"eval_loss": 1 - work.learning_rate, "train_loss": 1 / (1 + work.epochs)} if work.trial else {}


def _combinations(work: EvaluationWork, metrics: Mapping[str, float]) -> Iterator[CombinationOutput]:
    for each in work.combinations:
        measured = dict(metrics) if each.adapter else dict.fromkeys(metrics, 0.0)
        yield CombinationOutput(
            model=each.model.name, adapter=each.adapter.name if each.adapter else "", metrics=measured
        )


def failed(message: str) -> Ends:
    """A job that ends with ``message``."""
    return lambda _: JobStatus(JobState.FAILED, message=message, hint="look at the log")
