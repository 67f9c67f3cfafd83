"""Taking a resource away: the thing, unless another record uses it, and then the record.

Everything can be done twice: what a crash cut short is finished by the next delete, and what is gone already is no
fault. MLflow's runs are history and stay.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from studio.apply.errand import SMALL, Errand, chore
from studio.apply.recording import Recorder
from studio.backends.base import Backend, JobState
from studio.compile import Target
from studio.core.endpoint import WithdrawalWork
from studio.core.errors import StudioError
from studio.core.job_keys import is_removal, job_key, removal_key
from studio.core.jobresult import JobResult
from studio.core.jobspec import RUNS_FOLDER, JobSpec, RemovalWork, Resources
from studio.core.references import Ref
from studio.core.registered import Registered, Unregistering
from studio.desired import REGISTRY
from studio.plan.actions import Action, Verb
from studio.resources import KINDS
from studio.resources.model_export import ExportType
from studio.state.base import ACTIVE, Record, Run, RunStatus, StateReader, StateStore
from studio.state.endpoints import endpoint, is_same

NAMED = 3
"""Running jobs that a refusal names; the others are counted."""


@dataclass(frozen=True, slots=True)
class Remover:
    """``registry`` is the hash of the registry that the environment's exports go to, as their records hold it."""

    target: Target
    state: StateStore
    backend: Backend
    recorder: Recorder
    now: Callable[[], str]
    registry: str | None = ""

    def begin(self, action: Action) -> Errand | None:
        """Take away what can be taken away at once; the job that must do the rest, if any.

        Raises StudioError when the resource must stay for now, BackendError when nobody knows whether its job runs.
        """
        record = self.recorder.records.get(action.ref)
        if record is None:
            return None
        self._demand_idle(record)
        work = self._version(record) or self._endpoint(record)
        if action.verb is Verb.DELETE and work and not self._is_used(record):
            self._demand_place(record)
            return Removal(record, work, self)
        self.finish(record, keep=action.verb is Verb.FORGET)
        return None

    def finish(self, record: Record, *, keep: bool = False) -> None:
        """Drop the artifact and its run folder, unless they are to be kept or another record uses them; then forget. A
        sweep's choice is never kept: its trials have the adapters."""
        kind = KINDS.get(record.ref.kind)
        if not keep and kind and kind.compile:
            for each in (record, *self._newer(record)):
                if self.state.discard_artifact(each):
                    self._remove_folder(each)
        elif _output(record).get("sweep"):
            self.state.discard_artifact(record)
        self.recorder.forget(record.ref)

    def _newer(self, record: Record) -> list[Record]:
        """The same for jobs of later versions of the resource, which ended before anybody recorded what they made."""
        later = [run for run in self.state.runs(record.ref) if run.submitted_at > record.updated_at]
        made = {
            run.fingerprint: run for run in later if not is_removal(run.key) and run.fingerprint != record.fingerprint
        }
        return [
            replace(record, fingerprint=fingerprint, outcome={"run_dir": run.filing.get("run_dir", "")})
            for fingerprint, run in sorted(made.items())
        ]

    def _demand_idle(self, record: Record) -> None:
        """Refuse while the resource's job runs: nobody should lose hours of training by a side effect."""
        for run in self.state.runs(record.ref):
            if run.status not in ACTIVE or is_removal(run.key):
                continue
            if _is_running(run, self.backend):
                hint = f"wait for it, or stop it with 'studio cancel {record.ref}'; then try again"
                raise StudioError(f"its job {run.key} is still running", hint)
            ended = replace(run, status=RunStatus.CANCELLED, finished_at=self.now(), error="its resource was removed")
            self.state.save_run(ended)

    def _version(self, record: Record) -> RemovalWork | None:
        """To delete the version that an export registered; None for what registered none."""
        output = _output(record)
        if output.get("task") != "export":
            return None
        named = {name: str(output[name]) for name in ("model_name", "model_version")}
        made_by = str(record.outcome.get("run_key") or "")
        return RemovalWork(**named, made_by=made_by, unregistering=self._unregistering(record))

    def _unregistering(self, record: Record) -> Unregistering | None:
        """To take a model out of the workspace's registry, with all versions that no other record holds on to."""
        registered = _registered(_output(record))
        if registered is None:
            return None
        kind = record.ref.kind
        made = (_registered(output) for output in self.state.outputs(kind).values())
        own = (self.target.environment, record.ref)
        others = (other for environment, other in self.state.everywhere(kind) if (environment, other.ref) != own)
        held = {each.run_id for other in others if (each := _registered(_output(other)))}
        runs = {each.run_id for each in (*made, registered) if each and each.model_id == registered.model_id}
        return Unregistering(registered=registered, own_runs=tuple(sorted(runs - held)))

    def _endpoint(self, record: Record) -> WithdrawalWork | None:
        """To withdraw a record's endpoint; also one that was never up, if a job of this backend may have begun it."""
        output, key = endpoint(record), _key(record)
        if output:
            return WithdrawalWork(model_name=output["model_name"], model_id=output["model_id"], made_by=key)
        is_endpoint = record.spec.get("type") == ExportType.CML_MODEL
        begun = is_endpoint and any(
            (run.key, run.backend) == (key, self.backend.name) for run in self.state.runs(record.ref)
        )
        return WithdrawalWork(model_name=record.spec["model_name"], made_by=key) if begun else None

    def _demand_place(self, record: Record) -> None:
        """Refuse to look for a model in another place than it went to: a stranger's may bear its number there."""
        place = endpoint(record).get("place", self.backend.name)
        if place != self.backend.name:
            hint = "set spec.backend of studio.yaml to that workspace, or drop the record alone with --forget"
            raise StudioError(f"its endpoint is in {place}, not in this environment's workspace", hint)
        if _output(record).get("task") != "export":
            return
        registered = _registered(_output(record))
        if registered and registered.place != self.backend.name:
            hint = "set spec.backend of studio.yaml to that workspace, or drop the record alone with --forget"
            raise StudioError(f"its model is registered in {registered.place}, not in this environment's", hint)
        if self.registry is not None and record.inputs.get(REGISTRY, "") != self.registry:
            hint = "set spec.mlflow of studio.yaml to that registry, or drop the record alone with --forget"
            raise StudioError("its model went to another registry than this environment's", hint)

    def _is_used(self, record: Record) -> bool:
        """Whether another record, in any environment, has the same artifact."""
        own, mine = (self.target.environment, record.ref), endpoint(record)
        others = (each for where, each in self.state.everywhere(record.ref.kind) if (where, each.ref) != own)
        return any(each.fingerprint == record.fingerprint or is_same(endpoint(each), mine) for each in others)

    def _remove_folder(self, record: Record) -> None:
        """The run's folder where the run wrote it, unless weights in it are what something else was given. What was
        made in another place than this environment's stays there."""
        for location in sorted({f"{RUNS_FOLDER}/{_key(record)}", str(record.outcome.get("run_dir") or "")}):
            inside = PurePosixPath(location).parent == PurePosixPath(RUNS_FOLDER) and ".." not in location
            made = next((run.backend for run in self.state.attempts(PurePosixPath(location).name)), self.backend.name)
            if inside and made == self.backend.name and not self._is_named(location):
                self.backend.discard(location)

    def _is_named(self, location: str) -> bool:
        """Whether an artifact, or an Adapter of any environment, lies below a folder."""
        trained = (output.get("adapter") for output in self.state.outputs("FineTuningJob").values())
        declared = (record.spec.get("location") for _, record in self.state.everywhere("Adapter"))
        return any(_below(place, location) for place in (*trained, *declared))


def demand_idle(refs: Collection[Ref], state: StateReader, backend: Backend) -> None:
    """Refuse a destroy while jobs run of what it would take, all named: half a destroy helps nobody.

    Raises StudioError, and BackendError when nobody knows whether they run.
    """
    asked = (run for run in state.active() if run.ref in refs and not is_removal(run.key))
    running = sorted({(str(run.ref), run.key) for run in asked if _is_running(run, backend)})
    if running:
        named = ", ".join(f"{ref} ({key})" for ref, key in running[:NAMED])
        more = f" and {len(running) - NAMED} more" if len(running) > NAMED else ""
        one = len(running) == 1
        words = f"{'a job is' if one else f'{len(running)} jobs are'} still running: {named}{more}; nothing was deleted"
        stop = f"studio cancel {running[0][0]}" if one else "studio cancel --all"
        raise StudioError(words, f"wait for {'it' if one else 'them'}, or stop {'it' if one else 'them'} with '{stop}'")


def _is_running(run: Run, backend: Backend) -> bool:
    handle = backend.find(run.key, run.attempt)
    return handle is not None and backend.poll(handle).state is JobState.RUNNING


@dataclass(frozen=True, slots=True)
class Removal:
    """To delete the model version that an export registered, or the endpoint that it deployed."""

    record: Record
    work: RemovalWork | WithdrawalWork
    remover: Remover

    @property
    def ref(self) -> Ref:
        return self.record.ref

    @property
    def fingerprint(self) -> str:
        return self.record.fingerprint

    @property
    def resources(self) -> Resources:
        return SMALL

    @property
    def key(self) -> str:
        return removal_key(self.record.ref, self.record.fingerprint)

    def spec(self, attempt: int) -> JobSpec:
        return chore(self, self.work, self.remover.target, attempt)

    def succeeded(self, run: Run, result: JobResult) -> None:
        self.remover.finish(self.record)

    def failed(self, message: str) -> None:
        self.remover.recorder.spoil(self.record.ref, f"it could not be deleted: {message}")


def _key(record: Record) -> str:
    return job_key(record.ref, record.fingerprint)


def _output(record: Record) -> dict[str, Any]:
    return record.outcome.get("output") or {}


def _registered(output: Mapping[str, Any]) -> Registered | None:
    """What a workspace's registry knows an export's output as."""
    found = output.get("registered")
    return Registered.model_validate(found) if found else None


def _below(place: Any, folder: str) -> bool:
    return isinstance(place, str) and PurePosixPath(place).is_relative_to(folder)
