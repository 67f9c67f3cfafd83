"""Writing down what became of a resource: records and artifacts, right after each thing happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from studio.apply.filing import artifact
from studio.core.endpoint import DeploymentOutput
from studio.core.jobresult import CombinationOutput, EvaluationOutput, JobResult
from studio.core.references import Ref
from studio.core.verdicts import Verdict
from studio.desired import Desired
from studio.load.observation import Facts, Unusable
from studio.plan.actions import Action, Plan, Verb
from studio.resources.base import UNRECORDED, Resource
from studio.resources.evaluation_job import EvaluationJob
from studio.resources.gates import judge
from studio.resources.model_export import ModelExport
from studio.state.base import Artifact, Record, RecordStatus, Run, StateStore
from studio.state.endpoints import endpoint


@dataclass(slots=True)
class Recorder:
    """Saves records. ``sources`` says which file a resource came from; clock and ids are passed in."""

    state: StateStore
    sources: dict[Ref, str]
    commit: str
    now: Callable[[], str]
    new_id: Callable[[], str]
    records: dict[Ref, Record]
    commits: Mapping[Ref, str] = field(default_factory=dict)
    """What the hub's revisions pointed to, where it was asked."""

    def register(self, *items: Desired) -> None:
        """Resources that run nothing now: record what is desired, keep what an earlier job produced; all or none."""
        records = [self._registered(item) for item in items]
        self.state.save_records(records)
        self.records.update((record.ref, record) for record in records)

    def _registered(self, item: Desired) -> Record:
        before = self.records.get(item.ref)
        outcome = dict(before.outcome) if before else {}
        return replace(self._record(item), outcome=judged(item, outcome))

    def adopt(self, item: Desired, artifact: Artifact) -> None:
        """The same work was done before: take its artifact over."""
        self._save(replace(self._record(item), outcome=judged(item, _outcome(artifact))))

    def succeed(self, item: Desired, run: Run, result: JobResult) -> None:
        """A job ended well: file its artifact and record the resource."""
        made = artifact(run, result, self.now())
        self.state.save_artifact(made)
        self.adopt(item, made)

    def outdate(self, item: Desired, endpoint: DeploymentOutput) -> None:
        """Drop what is filed of builds that the endpoint had before: they are gone, and cannot be taken over."""
        served = {"model_id": endpoint.model_id, "place": endpoint.place}.items()
        for fingerprint, output in self.state.outputs(item.ref.kind).items():
            if fingerprint != item.fingerprint and served <= output.items():
                self.state.discard_artifact(replace(self.records[item.ref], fingerprint=fingerprint))

    def fail(self, item: Desired, message: str) -> None:
        """A job failed: the record says so, and the next plan retries."""
        before = self.records.get(item.ref)
        left = before.outcome if before and endpoint(before) else {}
        record = replace(self._record(item), outcome=dict(left))  # an endpoint that is up stays known
        self._save(replace(record, status=RecordStatus.FAILED, error=message))

    def spoil(self, ref: Ref, message: str) -> None:
        """Something else than the resource's own job went wrong with it: the record says so."""
        self._save(replace(self.records[ref], status=RecordStatus.FAILED, error=message, updated_at=self.now()))

    def forget(self, ref: Ref) -> None:
        """Drop a record; what it stands for is not looked at."""
        self.state.delete_record(ref)
        self.records.pop(ref, None)

    def missed_gates(self, ref: Ref) -> list[str]:
        """The conditions that an evaluation's recorded metrics do not meet, in words."""
        record = self.records.get(ref)
        return missed(record) if record else []

    def held_back(self, item: Desired) -> str:
        """Why an export must not happen now: a gate that it requires is missed; "" when nothing is in its way."""
        return held_back(item.resource, self.records)

    def _record(self, item: Desired) -> Record:
        resource, before = item.resource, self.records.get(item.ref)
        facts = item.facts
        return Record(
            ref=item.ref,
            uid=resource.metadata.uid or (before.uid if before else self.new_id()),
            spec=item.spec,
            metadata=item.metadata,
            fingerprint=item.fingerprint,
            inputs=item.inputs,
            status=RecordStatus.READY,
            facts=({} if facts is None or isinstance(facts, Unusable) else _recorded(facts)) | self._commit(item),
            source=self.sources.get(item.ref, ""),
            commit=self.commit,
            created_at=before.created_at if before else self.now(),
            updated_at=self.now(),
        )

    def _commit(self, item: Desired) -> dict[str, str]:
        """The commit of what is on the hub; the one known before stays while nobody asks and the name is the same."""
        before = self.records.get(item.ref)
        known = before.facts.get("commit", "") if before and before.fingerprint == item.fingerprint else ""
        commit = self.commits.get(item.ref, known)
        return {"commit": commit} if commit else {}

    def _save(self, record: Record) -> None:
        self._drop_choice(record)
        self.state.save_record(record)
        self.records[record.ref] = record

    def _drop_choice(self, record: Record) -> None:
        """What an earlier choice of a sweep filed: it costs nothing to make again, and would keep a trial's files."""
        before = self.records.get(record.ref)
        if before is None or before.fingerprint == record.fingerprint:
            return
        made = self.state.artifact(before.ref.kind, before.fingerprint)
        if made and made.output.get("sweep"):
            self.state.discard_artifact(before)


def registrations(plan: Plan) -> Iterator[Action]:
    """What is done by writing it down, as far as all that it needs is too; in dependency order."""
    done: set[Ref] = set()
    for action in plan.actions:
        written = action.resources is None and not action.trials and action.verb in (Verb.CREATE, Verb.UPDATE)
        if (written or action.verb is Verb.NONE) and done.issuperset(action.needs):
            done.add(action.ref)
            yield action


def judged(item: Desired, outcome: dict[str, Any]) -> dict[str, Any]:
    """An evaluation's outcome with its gates decided anew from the recorded metrics."""
    if not isinstance(item.resource, EvaluationJob) or "output" not in outcome:
        return outcome
    output = EvaluationOutput.model_validate(outcome["output"])
    combinations = _named(output.combinations, item.resource)
    named = output.model_copy(update={"combinations": combinations})
    verdicts = judge(item.resource.spec.gates, named)
    return {**outcome, "output": named.model_dump(mode="json"), "verdicts": [asdict(each) for each in verdicts]}


def missed(record: Record) -> list[str]:
    """The recorded verdicts that are not met, in words."""
    verdicts = record.outcome.get("verdicts", [])
    return [str(Verdict(**verdict)) for verdict in verdicts if not verdict["passed"]]


def held_back(resource: Resource, records: Mapping[Ref, Record]) -> str:
    """Why an export must not happen as things are recorded; "" when nothing is in its way."""
    for name in resource.spec.requires if isinstance(resource, ModelExport) else ():
        required = records.get(Ref("EvaluationJob", name))
        conditions = missed(required) if required else []
        if conditions:
            return f"EvaluationJob/{name} misses a gate: {'; '.join(conditions)}"
    return ""


def _named(measured: tuple[CombinationOutput, ...], job: EvaluationJob) -> tuple[CombinationOutput, ...]:
    """Metrics under today's names: a fingerprint holds positions, not names, so a rename measures nothing again."""
    wanted = job.spec.model_adapter_combinations
    return tuple(
        each.model_copy(update={"model": combination.base_model, "adapter": combination.adapter})
        for each, combination in zip(measured, wanted, strict=True)
    )


def _outcome(artifact: Artifact) -> dict[str, Any]:
    return {
        "output": artifact.output,
        "run_key": artifact.run_key,
        "run_dir": artifact.run_dir,
        "mlflow_run_id": artifact.mlflow_run_id,
        "seconds": artifact.seconds,
        **({"jobs": parts} if (parts := artifact.measures.get("parts", 1)) > 1 else {}),
    }


def _recorded(facts: Facts) -> dict[str, Any]:
    """The facts to keep; of a model's shape nothing depends on the past."""
    kept = [each.name for each in fields(facts) if UNRECORDED not in each.metadata]
    return {name: getattr(facts, name) for name in kept}
