"""From a recorded resource to a serving spec: what was applied is served, whatever the manifests say by now."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from studio.core.errors import StudioError, UsageError
from studio.core.jobspec import AdapterInput, ModelInput, Resources
from studio.core.kept import Kept
from studio.core.references import Ref
from studio.core.registered import Logged
from studio.core.servingspec import RegisteredVersion, ServingSpec
from studio.core.suggest import did_you_mean
from studio.load import configs
from studio.load.artifacts import Reach, is_present
from studio.load.project import Loaded
from studio.load.tracked import tracking
from studio.report.advice import Here
from studio.resources.adapter import AdapterSpec
from studio.resources.base import Resource
from studio.resources.config import Config
from studio.resources.model import ModelSpec, ModelType
from studio.state.base import Record, RecordStatus, StateReader
from studio.workflow import places

MODEL, ADAPTER, JOB, EXPORT = "Model", "Adapter", "FineTuningJob", "ModelExport"
SERVED = (MODEL, ADAPTER, JOB, EXPORT)
"""Kinds that answer prompts."""
GENERATION = "generation_config"


@dataclass(frozen=True, slots=True)
class Source:
    """What of a project a model is made of; any part may be missing."""

    model: ModelInput | None = None
    adapter: AdapterInput | None = None
    version: RegisteredVersion | None = None
    family: str = ""
    words: str = ""
    """What it is, for people."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """What is recorded in an environment, to be served."""

    loaded: Loaded
    state: StateReader
    verb: str = "serve"
    """The command that asks, for what it recommends."""

    def names(self) -> list[Ref]:
        """What may be named: resources that answer, recorded or under way, and adapters that jobs made."""
        known = {ref for ref in self.state.records() if ref.kind in SERVED}
        known |= {run.ref for run in self.state.active() if run.ref.kind in SERVED}
        taken = {ref.name for ref in known}
        return sorted(known | {Ref(ADAPTER, name) for name in self.makers() if name not in taken})

    def others(self) -> list[Ref]:
        """What is recorded and answers nothing."""
        return [ref for ref in self.state.records() if ref.kind not in SERVED]

    def spec(self, ref: Ref, cores: int, generation: str = "") -> ServingSpec:
        """Raises StudioError for what cannot be served, with the reason."""
        return self._of(ref, self._source(ref), cores, generation)

    def base_of(self, user: Record, cores: int) -> ServingSpec:
        """The base model that a recorded resource was made on. Raises StudioError when it is another by now."""
        ref = Ref(MODEL, user.spec["base_model"])
        return self._of(ref, self._model(ref.name, user), cores)

    def _of(self, ref: Ref, source: Source, cores: int, generation: str = "") -> ServingSpec:
        settings = self.loaded.settings
        server = places.server(self.loaded, os.environ) or ""
        return ServingSpec(
            name=ref.name,
            title=str(ref),
            model=source.model,
            adapter=source.adapter,
            version=source.version,
            generation=self._generation(generation, source),
            allow_remote_code=settings.spec.allow_remote_code,
            project_dir=str(self.loaded.root),
            tracking=tracking(settings, server),
            resources=Resources(cpu=cores),
            secrets={"hf_token": settings.spec.hf_token.env},
        )

    def _source(self, ref: Ref) -> Source:
        match ref.kind:
            case "Model":
                return self._model(ref.name, None)
            case "Adapter":
                return self._adapter(ref)
            case "FineTuningJob":
                return self._trained(ref, self.state.records().get(ref))
            case "ModelExport":
                return self._exported(ref)
        raise AssertionError(f"{ref.kind} is not served")

    def _model(self, name: str, user: Record | None) -> Source:
        """A base model as it is recorded; ``user`` is what was made on it."""
        ref = Ref(MODEL, name)
        record = self.state.records().get(ref)
        if record is None:
            raise StudioError(f"{ref} is not recorded", "'studio apply' records it")
        if user and user.inputs.get(str(ref), record.fingerprint) != record.fingerprint:
            raise StudioError(f"{ref} has changed since {user.ref} was made on it", "'studio apply' makes it again")
        spec = ModelSpec.model_validate(record.spec)
        hub = spec.type == ModelType.HUGGINGFACE
        model = ModelInput(
            name=name,
            type=spec.type,
            location=spec.location,
            huggingface_name=spec.huggingface_model_name,
            revision=str(record.facts.get("commit") or spec.revision),
            trust_remote_code=hub and spec.huggingface_model_name in self.loaded.settings.spec.allow_remote_code,
            digest=str(record.facts.get("digest", "")),
            logged=_logged(record),
        )
        return Source(model, family=str(record.facts.get("family", "")), words="base model")

    def _adapter(self, ref: Ref) -> Source:
        """One that was brought along, or one that a job made, with a manifest of its own or without."""
        record = self.state.records().get(ref)
        if record is None:
            job = self.makers()[ref.name]
            return self._trained(job.ref, job)
        spec = AdapterSpec.model_validate(record.spec)
        if spec.fine_tuning_job and not (spec.location or spec.huggingface_name):
            job_ref = Ref(JOB, spec.fine_tuning_job)
            return self._trained(job_ref, self.state.records().get(job_ref))
        adapter = AdapterInput(
            name=ref.name,
            type=spec.type,
            location=spec.location,
            huggingface_name=spec.huggingface_name,
            revision=str(record.facts.get("commit") or spec.revision),
            digest=str(record.facts.get("digest", "")),
            logged=_logged(record),
        )
        return self._on(spec.model, record, adapter)

    def _trained(self, ref: Ref, record: Record | None) -> Source:
        output = record.outcome.get("output") if record else None
        if record is None or not output:
            raise self._not_made(ref, record)
        if not is_present(output, Reach(self.loaded.root, places.server(self.loaded, os.environ))):
            raise _elsewhere(ref, output)
        kept = output.get("kept")
        adapter = AdapterInput(
            name=record.spec.get("adapter_name", ref.name),
            type="project",
            location=output["adapter"],
            digest=output["digest"],
            kept=Kept.model_validate(kept) if kept else None,
        )
        return self._on(record.spec["base_model"], record, adapter)

    def _on(self, model: str, record: Record, adapter: AdapterInput) -> Source:
        base = self._model(model, record)
        return Source(base.model, adapter, family=base.family, words=f"{adapter.name} on {model}")

    def _exported(self, ref: Ref) -> Source:
        record = self.state.records().get(ref)
        output: dict[str, Any] = (record.outcome.get("output") if record else None) or {}
        if record is None or not output:
            raise self._not_made(ref, record)
        if "model_version" not in output:
            adapter = record.spec.get("adapter")
            source = f"Adapter/{adapter}" if adapter else f"{MODEL}/{record.spec['base_model']}"
            raise StudioError(
                f"{ref} is an endpoint that its workspace serves", f"here: '{self._say(self.verb, source)}'"
            )
        name, number = str(output["model_name"]), str(output["model_version"])
        version = RegisteredVersion(model_name=name, model_version=number)
        base = self.state.records().get(Ref(MODEL, record.spec["base_model"]))
        family = str(base.facts.get("family", "")) if base else ""
        return Source(version=version, family=family, words=f"{name} version {number}")

    def _not_made(self, ref: Ref, record: Record | None) -> StudioError:
        if any(run.ref == ref for run in self.state.active()):
            return StudioError(
                f"{ref} is still under way: there is nothing to {self.verb} yet",
                f"'{self._say('status')}' says how far",
            )
        if record and record.status is RecordStatus.FAILED:
            hint = f"'{self._say('logs', str(ref))}' has more; '{self._say('apply')}' retries"
            return StudioError(f"{ref} failed: {record.error}", hint)
        return StudioError(f"{ref} has not run yet: there is nothing to {self.verb}", f"'{self._say('apply')}' runs it")

    def _say(self, *words: str) -> str:
        """A command for the environment that was asked about."""
        return Here(environment=self.loaded.environment).command(*words)

    def _generation(self, named: str, source: Source) -> dict[str, Any] | None:
        """The Config that was asked for, else the default one; of a version, what it was registered with."""
        if source.version and not named:
            return None
        resources: dict[Ref, Resource] = {
            ref: manifest.resource
            for each in (self.loaded.defaults, self.loaded.manifests)
            for ref, manifest in each.items()
        }
        known = [
            ref.name for ref, each in resources.items() if isinstance(each, Config) and each.spec.type == GENERATION
        ]
        if named and named not in known:
            raise UsageError(f"--generation {named!r} is not a Config of type {GENERATION}", did_you_mean(named, known))
        shipped = {ref: manifest.resource for ref, manifest in self.loaded.defaults.items()}
        try:
            return configs.in_force(resources, configs.defaults(resources, shipped), GENERATION, named, source.family)[
                1
            ]
        except ValueError as error:
            raise StudioError(str(error), "'studio validate' shows where") from error

    def makers(self) -> dict[str, Record]:
        """Adapter name to the job that was recorded with it; the first by name where several were."""
        found: dict[str, Record] = {}
        for record in _sorted(self.state.records().values()):
            if record.ref.kind == JOB and record.spec.get("adapter_name"):
                found.setdefault(record.spec["adapter_name"], record)
        return found


def _sorted(records: Iterable[Record]) -> list[Record]:
    return sorted(records, key=lambda record: record.ref)


def _logged(record: Record) -> Logged | None:
    """The MLflow run that logged what is in a workspace's registry, as it was found when that was applied."""
    run = str(record.facts.get("mlflow_run_id", ""))
    if record.spec.get("type") != ModelType.MODEL_REGISTRY or not run:
        return None
    return Logged(experiment_id=str(record.facts.get("mlflow_experiment_id", "")), run_id=run)


def _elsewhere(ref: Ref, output: dict[str, Any]) -> StudioError:
    """The adapter's files are not on this disk, and no server keeps them."""
    place = output.get("place")
    if place:
        return StudioError(
            f"the adapter of {ref} was trained on {place}, and its files are there",
            "serve it there, or name an MLflow server in studio.yaml that keeps adapters, and apply --replace",
        )
    return StudioError(
        f"the adapter of {ref} is not on this machine: {output.get('adapter')} is not there",
        f"serve it where it was trained, or train it here: 'studio apply --replace {ref}'",
    )
