"""What is recorded, as values, and the protocols of whoever records it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from studio.core.references import Ref


class RecordStatus(StrEnum):
    """Whether a resource is as its record says, or its last run failed."""

    READY = "ready"
    FAILED = "failed"


class RunStatus(StrEnum):
    """``INTENT`` is committed before a job is submitted; whatever crashes, the key tells what became of it."""

    INTENT = "intent"
    SUBMITTED = "submitted"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


ACTIVE = frozenset({RunStatus.INTENT, RunStatus.SUBMITTED})


@dataclass(frozen=True, slots=True)
class Record:
    """What state holds for a resource. Times are ISO 8601 in UTC."""

    ref: Ref
    uid: str
    spec: dict[str, Any]
    metadata: dict[str, Any]
    fingerprint: str
    inputs: dict[str, str]
    status: RecordStatus
    facts: dict[str, Any] = field(default_factory=dict)
    outcome: dict[str, Any] = field(default_factory=dict)
    """What the job produced, with gate verdicts; for data kinds empty."""
    error: str = ""
    source: str = ""
    commit: str = ""
    created_at: str = ""
    updated_at: str = ""


@dataclass(frozen=True, slots=True)
class Artifact:
    """What a job produced, filed by fingerprint and shared by all environments."""

    kind: str
    fingerprint: str
    output: dict[str, Any]
    run_key: str
    run_dir: str
    mlflow_run_id: str
    mlflow_experiment_id: str
    seconds: float
    resources: dict[str, Any]
    created_at: str
    measures: dict[str, Any] = field(default_factory=dict)
    """What its duration depends on (model, rows, epochs), so that the next run's can be estimated."""

    @property
    def origin(self) -> str:
        """Who made it, in words; of what was imported nobody knows."""
        return f"run {self.run_key}" if self.run_key else "an import"


@dataclass(frozen=True, slots=True)
class Run:
    """One submitted job: a key and an attempt."""

    key: str
    attempt: int
    environment: str
    ref: Ref
    fingerprint: str
    backend: str
    status: RunStatus
    handle: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    submitted_at: str = ""
    finished_at: str = ""
    filing: dict[str, Any] = field(default_factory=dict)
    """What the artifact will say of the job besides its result."""


@dataclass(frozen=True, slots=True)
class Operation:
    """Who applied what, when, from which commit, with which outcome."""

    id: str
    environment: str
    command: str
    actor: str
    commit: str
    started_at: str
    finished_at: str = ""
    outcome: str = ""
    summary: dict[str, Any] = field(default_factory=dict)
    plan: str = ""
    """The digest of the plan that was carried out; empty for an edit by hand."""


@dataclass(frozen=True, slots=True)
class Lineage:
    """Identity of an environment's history and the number of changes so far."""

    id: str
    serial: int


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write. ``token`` grows with every holder, so a late writer is told apart."""

    environment: str
    holder: str
    """Who, doing what, in which process, since when: words for a message."""
    token: int
    left: float
    """Seconds until it expires unless it is renewed, by the database's clock, when it was read."""


class StateReader(Protocol):
    """Reads one environment's records and the shared artifacts."""

    def lineage(self) -> Lineage: ...

    def records(self) -> Mapping[Ref, Record]: ...

    def artifact(self, kind: str, fingerprint: str) -> Artifact | None: ...

    def outputs(self, kind: str) -> Mapping[str, dict[str, Any]]:
        """What all artifacts of a kind hold, by fingerprint; one query however many there are."""

    def artifacts(self) -> list[Artifact]:
        """All artifacts, by kind and fingerprint."""

    def everywhere(self, kind: str) -> list[tuple[str, Record]]:
        """The records of a kind in all environments, each with its environment; sorted."""

    def runs(self, ref: Ref | None = None) -> list[Run]:
        """Runs of this environment, newest first."""

    def active(self) -> list[Run]:
        """Runs of this environment that have not ended as far as anybody noted."""

    def attempts(self, key: str) -> list[Run]:
        """All attempts of a key, in any environment, newest first."""

    def operations(self, limit: int = 20) -> list[Operation]: ...

    def lease(self) -> Lease | None:
        """Who holds the environment's lock now; None when the next writer gets it at once."""


class StateStore(StateReader, Protocol):
    """Writes, each call its own transaction, each fenced by the lease."""

    def together(self) -> AbstractContextManager[None]:
        """The writes inside become one transaction; reads inside see them."""

    def demand_lease(self) -> None:
        """Raise LeaseLostError once the lease is known to be lost; costs nothing."""

    def save_record(self, record: Record) -> None: ...

    def save_records(self, records: Iterable[Record]) -> None:
        """Many at once: one transaction, one statement."""

    def delete_record(self, ref: Ref) -> None: ...

    def save_artifact(self, artifact: Artifact) -> None: ...

    def discard_artifact(self, record: Record) -> bool:
        """Drop the artifact behind a record unless another record, in any environment, has the same fingerprint.

        Whether nothing is filed under that fingerprint any more. Asked and done in one transaction.
        """

    def save_run(self, run: Run) -> None: ...

    def save_operation(self, operation: Operation) -> None: ...

    def restore(
        self,
        records: Iterable[Record],
        artifacts: Iterable[Artifact],
        runs: Iterable[Run],
        operations: Iterable[Operation],
    ) -> None:
        """Insert what is not there yet under its key; nothing is replaced."""
