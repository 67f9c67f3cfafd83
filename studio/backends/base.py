"""What a backend is: submit, find, poll, cancel, logs, capacity. A module that satisfies this, listed in a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from studio.core.endpoint import EndpointSize
    from studio.core.event import Event
    from studio.core.jobresult import JobResult
    from studio.core.jobspec import JobSpec, Resources


class JobState(StrEnum):
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Site:
    """Where a backend finds the project and, when jobs run in a workspace, its address and key.

    ``url`` has been held against the list of addresses that the key may go to.
    """

    root: Path
    environ: Mapping[str, str]
    url: str = ""
    project_id: str = ""
    key: str = field(default="", repr=False)
    key_variable: str = ""
    """Where the key was found, for words about it."""
    patience: float | None = None
    """Seconds to wait for a workspace in all before saying that it does not answer; None for what jobs are worth."""


@dataclass(frozen=True, slots=True)
class Handle:
    """One attempt of one key, and what the backend needs to know it again (plain JSON)."""

    key: str
    attempt: int
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JobStatus:
    """Where an attempt stands. ``progress`` is its latest event; ``message`` says why it failed."""

    state: JobState
    progress: Event | None = None
    result: JobResult | None = None
    message: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Capacity:
    """What is free now. ``idle``: nothing of ours is running, so a job larger than the machine may start."""

    cpu: float
    gpu: int
    memory: float
    idle: bool = False

    def fits(self, asked: Resources) -> bool:
        """A missing GPU is never made up for; too few cores or GB are, when nothing else runs."""
        if asked.gpu > self.gpu:
            return False
        return self.idle or (asked.cpu <= self.cpu and asked.memory <= self.memory)


@dataclass(frozen=True, slots=True)
class EndpointLook:
    """An endpoint as it is now. ``build`` is the id of the build that is deployed, "" while none is."""

    build: str
    status: str
    is_settled: bool
    """It will not become another one by itself."""
    size: EndpointSize | None
    description: str
    authentication: bool


@runtime_checkable
class EndpointHost(Protocol):
    """A backend that can be asked what became of an endpoint."""

    def look(self, model_id: str) -> EndpointLook | None:
        """The endpoint; None when it is gone. Raises BackendError."""


WORKSPACE = "cml:"
"""How the names of backends begin whose jobs run in a workspace."""


def place(url: str, project_id: str) -> str:
    """The name of the backend that runs jobs in a project of a workspace."""
    return f"{WORKSPACE}{url.partition('://')[2]}/{project_id}"


class Log(Protocol):
    """What a job prints. Every reading goes on where the last one ended. Each method may raise BackendError."""

    def skip(self, last: int) -> None:
        """Go on with the last ``last`` lines."""

    def lines(self, *, unfinished: bool = True) -> Iterator[str]:
        """What was not read yet, line by line; the last one only when it has ended, or ``unfinished`` is given."""


class Backend(Protocol):
    """Where jobs run. Every method may raise BackendError, and RefusedError where asking again cannot help."""

    @property
    def name(self) -> str:
        """Which backend this is, kept with every run: another workspace or project is another backend."""

    def submit(self, spec: JobSpec) -> Handle:
        """Start an attempt. Submitting the same key and attempt again starts nothing new."""

    def find(self, key: str, attempt: int) -> Handle | None:
        """The attempt, if it was submitted; resolves an intent after a crash."""

    def attempts(self, key: str) -> int:
        """The highest attempt of the key that the backend knows of, whoever submitted it; 0 for none."""

    def poll(self, handle: Handle) -> JobStatus: ...

    def concluded(self, status: JobStatus) -> JobStatus:
        """Do what a job that ended leaves to be done outside of it; asked by who records its result, and by nobody who
        only looks. Asking again does nothing twice. ``message`` of what ended well is a remark."""

    def cancel(self, handle: Handle) -> None:
        """Ask the job to stop; it may take a moment."""

    def log(self, handle: Handle) -> Log:
        """The job's log; opening it reads nothing."""

    def holds(self, location: str) -> bool:
        """Whether a file lies where jobs find it; relative to the project."""

    def discard(self, folder: str) -> None:
        """Delete a folder where jobs wrote it, relative to the project; it may be gone already."""

    def capacity(self) -> Capacity:
        """What is free now."""

    def total(self) -> Capacity:
        """What there is."""
