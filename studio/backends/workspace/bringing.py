"""Adapters are brought to where a build's snapshot of the project has them: it follows .gitignore, and what was trained
lies in a hidden folder, on another disk, or on an MLflow server."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import BinaryIO, Protocol

from studio.backends.base import Handle, JobState, JobStatus
from studio.core.endpoint import DeploymentWork
from studio.core.errors import RefusedError
from studio.core.fingerprints import digest, stream_digest
from studio.core.jobspec import RUNS_FOLDER, CopyRevision, JobSpec, Resources, RevisionWork

WEIGHTS = "adapter_model.safetensors"
IDENTITY = ("adapter_config.json", WEIGHTS)
"""The files that a declared adapter's digest is of (``load.adapters``)."""
SERVED_FOLDER = "cml/adapters"
"""Holds a folder for each adapter, by its digest."""
COPY = "serve-"
"""Before the key of a deployment: the key of the job that brings its adapter."""


class Disk(Protocol):
    """The project's files in the workspace."""

    def find(self, path: str) -> object | None:
        """A file or folder; None where there is none."""

    def copy(self, path: str, into: BinaryIO, start: int) -> None:
        """Write a file's content from ``start`` on."""


class Courier(Protocol):
    """Runs jobs in the workspace."""

    def submit(self, spec: JobSpec) -> Handle: ...

    def poll(self, handle: Handle) -> JobStatus: ...

    def cancel(self, handle: Handle) -> None: ...


@dataclass(frozen=True, slots=True)
class Brought:
    """``location`` is where the adapter is; "" while it is on its way, and ``status`` says how far."""

    location: str = ""
    message: str = ""
    status: JobStatus | None = None


@dataclass(frozen=True, slots=True)
class Bringing:
    """Every method may raise BackendError."""

    files: Disk
    courier: Courier
    _under_way: dict[tuple[str, int], Handle] = field(default_factory=dict)

    def bring(self, spec: JobSpec, work: DeploymentWork) -> Brought:
        """To be called again until it tells a location, or that the job has ended otherwise.

        Raises RefusedError for an adapter that is not to be had in the workspace, or is another one there.
        """
        hidden = any(part.startswith(".") for part in PurePosixPath(work.adapter).parts)
        is_there = self.files.find(f"{work.adapter}/{WEIGHTS}") is not None
        if is_there and not hidden:
            self._demand_same(work)
            return Brought(work.adapter)
        place, this = f"{SERVED_FOLDER}/{work.digest[:16]}", (spec.key, spec.attempt)
        if this not in self._under_way:
            if self.files.find(f"{place}/{WEIGHTS}"):
                return Brought(place)
            _demand(work, is_there)
            self._under_way[this] = self.courier.submit(_copying(spec, work, place))
        status = self.courier.poll(self._under_way[this])
        if status.state is JobState.RUNNING:
            return Brought("", f"a job copies the adapter to {place}", status)
        del self._under_way[this]
        if status.state is JobState.SUCCEEDED:
            return Brought(place)
        return Brought("", f"the adapter could not be copied to {place}: {status.message}", status)

    def _demand_same(self, work: DeploymentWork) -> None:
        """The clone in the workspace may be at another commit than the one that was planned."""
        if work.digest and work.digest != digest({name: self._digest(f"{work.adapter}/{name}") for name in IDENTITY}):
            message = f"the adapter {work.adapter} in the workspace is not the one that was planned"
            raise RefusedError(message, "bring the project in the workspace to this commit, then apply again")

    def _digest(self, path: str) -> str:
        with tempfile.TemporaryFile(buffering=0) as content:
            self.files.copy(path, content, 0)
            content.seek(0)
            return stream_digest(content)

    def cancel(self, handle: Handle) -> bool:
        """Stop the job that brings a deployment's adapter; whether there is one."""
        job = self._under_way.get((handle.key, handle.attempt))
        if job:
            self.courier.cancel(job)
        return job is not None


def _demand(work: DeploymentWork, is_there: bool) -> None:
    if not is_there and work.kept is None:
        message = f"the adapter {work.adapter} is not in the workspace, and no MLflow server keeps it"
        hint = "train it there (apply --replace with its job), or commit it and name its folder in an Adapter"
        raise RefusedError(message, hint)


def _copying(spec: JobSpec, work: DeploymentWork, place: str) -> JobSpec:
    """A small job that puts the adapter where a build's snapshot has it."""
    copy = CopyRevision(source=work.adapter, digest=work.digest, target=place, kept=work.kept)
    key = f"{COPY}{spec.key}"
    changed = {
        "key": key,
        "run_dir": f"{RUNS_FOLDER}/{key}",
        "work": RevisionWork(copies=(copy,)),
        "resources": Resources(cpu=1, memory=2),
    }
    return spec.model_copy(update=changed)
