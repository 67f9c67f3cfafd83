"""What is declared, recorded and running, joined: the data behind ``status`` and ``show``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

from studio.apply.recording import held_back
from studio.backends.base import Backend, Handle, JobState, JobStatus
from studio.core.errors import BackendError, StudioError
from studio.core.references import Ref
from studio.resources.base import Resource
from studio.resources.fine_tuning_job import Trial
from studio.state.base import ACTIVE, Operation, Record, RecordStatus, Run, RunStatus, StateReader


class Witness(Protocol):
    """As much of a backend as it takes to say where jobs stand."""

    @property
    def name(self) -> str: ...

    def find(self, key: str, attempt: int) -> Handle | None: ...

    def poll(self, handle: Handle) -> JobStatus: ...


@dataclass(frozen=True, slots=True)
class Unasked:
    """Stands for a backend that cannot be asked from here: no key, no client. What is recorded can be shown all the
    same."""

    name: str
    """ "" where not even that is known."""
    fault: StudioError

    def find(self, key: str, attempt: int) -> NoReturn:
        raise BackendError(self.fault.message, self.fault.hint)

    def poll(self, handle: Handle) -> NoReturn:
        raise BackendError(self.fault.message, self.fault.hint)


@dataclass(frozen=True, slots=True)
class Standing:
    """One resource's record and its latest run, with the run's live status while it is under way."""

    ref: Ref
    record: Record | None
    run: Run | None
    live: JobStatus | None
    silence: str = ""
    """Why the backend did not say where the run stands."""
    outdated: bool = False
    """The run is of an earlier version of the resource."""
    held: str = ""
    """Why an export will not happen as things are recorded."""
    trials: tuple[Tried, ...] = ()
    """Of a sweep, by name."""

    @property
    def is_running(self) -> bool:
        return self.live is not None and self.live.state is JobState.RUNNING

    @property
    def state(self) -> str:
        """In a word or three: running, ready, failed, or what a run that nobody recorded yet came to."""
        if self.live:
            word = "running" if self.is_running else f"{self.live.state.value}, not recorded"
            return f"{word}, earlier version" if self.outdated else word
        if self.silence:
            return "not known"
        if self.run and self.run.status in (*ACTIVE, RunStatus.CANCELLED) and self._is_newer(self.run):
            return self.run.status.value
        if self.record:
            return self.record.status.value
        # What succeeded and has no record any more was deleted or forgotten since.
        return self.run.status.value if self.run and self.run.status is not RunStatus.SUCCEEDED else "not applied"

    def _is_newer(self, run: Run) -> bool:
        return self.record is None or run.submitted_at >= self.record.updated_at


@dataclass(frozen=True, slots=True)
class Tried:
    """A trial of a sweep: its values by key of the matrix, and how it stands."""

    values: Mapping[str, Any]
    standing: Standing


def standings(state: StateReader, backend: Witness, declared: Mapping[Ref, Resource] | None = None) -> list[Standing]:
    """Every declared, recorded or running resource, sorted by kind and name; jobs of earlier versions beside them.

    What was made, and is neither declared nor recorded any more, has only its history left.
    """
    records, runs, wanted = state.records(), state.runs(), declared or {}
    latest: dict[Ref, Run] = {}
    for run in runs:
        latest.setdefault(run.ref, run)
    older = [run for run in runs if run.status in ACTIVE and latest[run.ref] is not run]
    found = [
        standing(ref, records.get(ref), latest.get(ref), backend, held(wanted.get(ref), records))
        for ref in {*records, *wanted, *(run.ref for run in latest.values() if run.status is not RunStatus.SUCCEEDED)}
    ]
    found += [under_way(run, backend, outdated=True) for run in older]
    return sorted(found, key=lambda each: (each.ref, each.outdated))


def standing(ref: Ref, record: Record | None, run: Run | None, backend: Witness, held: str = "") -> Standing:
    """One resource's standing; a run under way is asked for."""
    if run is None or run.status not in ACTIVE:
        return Standing(ref, record, run, None, held=held)
    found = under_way(run, backend, outdated=_is_outdated(run, record))
    return Standing(ref, record, run, found.live, found.silence, found.outdated, held)


def trials(sweep: Ref, declared: Mapping[Ref, Resource]) -> list[Trial]:
    """The trials that a declared sweep has, by name."""
    found = [each for each in declared.values() if isinstance(each, Trial) and Ref(each.kind, each.sweep) == sweep]
    return sorted(found, key=lambda each: each.ref)


def begun(known: Iterable[Ref], declared: Mapping[Ref, Resource]) -> set[Ref]:
    """Sweeps of which a trial is known, whether or not they could choose yet."""
    jobs = (declared.get(ref) for ref in known)
    return {Ref(each.kind, each.sweep) for each in jobs if isinstance(each, Trial)}


def tried(sweep: Ref, declared: Mapping[Ref, Resource], state: StateReader, backend: Witness) -> tuple[Tried, ...]:
    """How the trials of a sweep stand."""
    asked = trials(sweep, declared)
    if not asked:
        return ()
    records, latest = state.records(), {run.ref: run for run in reversed(state.runs())}
    found = ((each, standing(each.ref, records.get(each.ref), latest.get(each.ref), backend)) for each in asked)
    return tuple(Tried(each.values, its) for each, its in found)


def under_way(run: Run, backend: Witness, *, outdated: bool = False) -> Standing:
    """A run that nobody recorded the end of, and where its job stands."""
    if backend.name and run.backend != backend.name:
        return Standing(run.ref, None, run, None, f"it runs on the backend {run.backend!r}", outdated)
    try:
        handle = backend.find(run.key, run.attempt)
        return Standing(run.ref, None, run, backend.poll(handle) if handle else None, outdated=outdated)
    except BackendError as error:
        return Standing(run.ref, None, run, None, error.message, outdated)


def held(resource: Resource | None, records: Mapping[Ref, Record]) -> str:
    """Why a declared export will not happen; "" for what is no export, or has happened."""
    record = records.get(resource.ref) if resource else None
    if resource is None or (record and record.status is RecordStatus.READY):
        return ""
    return held_back(resource, records)


def handle_of(run: Run, backend: Backend) -> Handle | None:
    """The backend's handle of a recorded run; it is asked for one that an apply did not live to write down."""
    return Handle(run.key, run.attempt, run.handle) if run.handle else backend.find(run.key, run.attempt)


def _is_outdated(run: Run, record: Record | None) -> bool:
    """Another version was recorded after the run was submitted. Only a plan knows about later edits."""
    return record is not None and record.fingerprint != run.fingerprint and record.updated_at > run.submitted_at


def awaited(found: Iterable[Standing]) -> bool:
    """Whether anything runs, or may."""
    return any(each.is_running or each.silence for each in found)


def at_work(state: StateReader, operations: Iterable[Operation]) -> str:
    """The id of the operation whose process holds the lock now; "" when nobody does."""
    unfinished = next((each.id for each in operations if not each.outcome), "")
    return unfinished if unfinished and state.lease() else ""
