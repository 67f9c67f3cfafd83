"""A desired job to its job spec: references resolved, configs chosen, places and names filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from studio import __version__, provenance
from studio.core import job_secrets
from studio.core.errors import StudioError
from studio.core.job_keys import job_key
from studio.core.jobspec import (
    RUNS_FOLDER,
    AdapterInput,
    DatasetInput,
    JobSpec,
    ModelInput,
    SeenRows,
    Split,
    Work,
)
from studio.core.kept import Kept
from studio.core.prompting import Templates
from studio.core.references import Ref
from studio.core.registered import Logged
from studio.core.templates import TemplateError, parse
from studio.desired import Desire, Desired, content_of, names
from studio.graph import producer
from studio.load.online import logged_by
from studio.load.settings import Project
from studio.load.tracked import tracking
from studio.plan.workload import Workload, workload
from studio.resources import KINDS
from studio.resources.adapter import Adapter, AdapterFacts, AdapterSpec
from studio.resources.base import ConfigValue
from studio.resources.config import Config, auto_prompt
from studio.resources.dataset import Dataset, DatasetFacts
from studio.resources.fine_tuning_job import FineTuningJob
from studio.resources.model import Model, ModelFacts, ModelSpec, ModelType
from studio.resources.model_export import ModelExport
from studio.resources.prompt import PromptFacts, templates
from studio.state.base import Artifact, StateReader
from studio.state.endpoints import endpoint, is_same
from studio.state.trained import trained_by

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Target:
    """For whom jobs are compiled."""

    root: Path
    settings: Project
    environment: str
    commit: str
    server: str = ""
    """Of MLflow, hashed (``load.destinations``)."""
    workspace: str = ""
    """Name of the workspace where jobs run; "" for this machine."""


@dataclass(frozen=True, slots=True)
class ProjectScope:
    """The references of one job, resolved against the project and the recorded artifacts."""

    job: Desired
    desire: Desire
    target: Target
    state: StateReader

    def dataset(self, name: str) -> DatasetInput:
        spec = self._get(Ref("Dataset", name), Dataset).spec
        facts = self.desire.observations.get(Ref("Dataset", name))
        known = facts if isinstance(facts, DatasetFacts) else None
        return DatasetInput(
            name=name,
            type=spec.type,
            location=spec.location,
            huggingface_name=spec.huggingface_name,
            revision=spec.revision,
            subset=spec.subset,
            features=known.features if known else spec.features,
            digest=known.digest if known else "",
        )

    def model(self, name: str) -> ModelInput:
        spec = self._get(Ref("Model", name), Model).spec
        facts = self.desire.observations.get(Ref("Model", name))
        return ModelInput(
            name=name,
            type=spec.type,
            location=spec.location,
            huggingface_name=spec.huggingface_model_name,
            revision=spec.revision,
            trust_remote_code=spec.type == ModelType.HUGGINGFACE
            and spec.huggingface_model_name in self.target.settings.spec.allow_remote_code,
            digest=facts.digest if isinstance(facts, ModelFacts) else "",
            logged=self._logged(Ref("Model", name), spec),
        )

    def adapter(self, name: str) -> AdapterInput:
        resource = self.desire.graph.resources.get(Ref("Adapter", name))
        if isinstance(resource, Adapter) and resource.spec.has_weights:
            spec = resource.spec
            facts = self.desire.observations.get(resource.ref)
            return AdapterInput(
                name=name,
                type=spec.type,
                location=spec.location,
                huggingface_name=spec.huggingface_name,
                revision=spec.revision,
                digest=facts.digest if isinstance(facts, AdapterFacts) else "",
                logged=self._logged(resource.ref, spec),
            )
        artifact = self._trained(name)
        output, kept = artifact.output, artifact.output.get("kept")
        return AdapterInput(
            name=name,
            type="project",
            location=output["adapter"],
            digest=output["digest"],
            kept=Kept.model_validate(kept) if kept else None,
        )

    def _logged(self, ref: Ref, spec: ModelSpec | AdapterSpec) -> Logged | None:
        return logged_by(ref, spec, self.desire.observations.get(ref))

    def templates(self, prompt: str) -> Templates:
        facts = self.desire.observations.get(Ref("Prompt", prompt))
        if not isinstance(facts, PromptFacts):
            raise StudioError(
                f"the templates of Prompt/{prompt} are not known", "write them, or declare its data set's features"
            )
        return templates(facts)

    def dataset_format(self, name: str) -> Templates:
        every = {**self.desire.defaults, **self.desire.graph.resources}.values()
        return Templates(prompt=auto_prompt([each for each in every if isinstance(each, Config)], name))

    def axolotl_python(self) -> str:
        return self.target.settings.spec.python_of_axolotl

    def config(self, type: str, value: ConfigValue, model: str) -> dict[str, Any]:
        return self.desire.config(type, value, self.desire.family(model))[1]

    def files(self) -> Mapping[str, str]:
        return content_of(self.desire.observations.get(self.job.ref)) or {}

    def seen(self, adapter: str) -> SeenRows | None:
        job = self._producer(adapter)
        if job is None:
            return None
        spec = self._get(job, FineTuningJob).spec
        facts = self.desire.observations.get(Ref("Dataset", spec.dataset))
        if not isinstance(facts, DatasetFacts):
            return None
        split = Split(fraction=spec.dataset_fraction, train=spec.train_test_split)
        return SeenRows(dataset_digest=facts.digest, split=split)

    def example(self, adapter: str) -> str:
        """What the model will be asked, with names of columns in place of values: a row may be nobody's business."""
        job = self._producer(adapter) if adapter else None
        prompt = Ref("Prompt", self._get(job, FineTuningJob).spec.prompt) if job else None
        facts = self.desire.observations.get(prompt) if prompt else None
        if not isinstance(facts, PromptFacts) or (facts.chat and facts.chat.messages):
            return "Hello"
        try:
            template = parse(facts.input_template or facts.prompt_template)
        except TemplateError:
            return "Hello"
        return template.render({field: field for field in template.fields})

    def registered(self, model_name: str) -> str:
        before = self.state.artifact(self.job.ref.kind, self.job.fingerprint)
        output = before.output if before else {}
        return str(output.get("model_version", "")) if output.get("model_name") == model_name else ""

    def workspace(self) -> str:
        return self.target.workspace

    def endpoint(self) -> Mapping[str, Any]:
        output = endpoint(self.state.records().get(self.job.ref))
        return output if output.get("place") == self.target.workspace else {}

    def is_shared(self, mine: Mapping[str, Any]) -> bool:
        own, everywhere = (self.target.environment, self.job.ref), self.state.everywhere(self.job.ref.kind)
        return any(is_same(endpoint(each), mine) for where, each in everywhere if (where, each.ref) != own)

    def owner(self) -> str:
        return f"{self.job.ref} in {self.target.environment}"

    def provenance(self) -> dict[str, Any]:
        job = self._producer(self._get(self.job.ref, ModelExport).spec.adapter)
        return {
            "export": str(self.job.ref),
            "environment": self.target.environment,
            "commit": self.target.commit,
            "studio": __version__,
            "trained_by": self._trained_by(job) if job else {},
            **provenance.upstream(self.job.ref, self.desire),
        }

    def _trained_by(self, job: Ref) -> dict[str, Any]:
        fingerprint = self.desire.items[job].fingerprint
        known = provenance.origin(job.kind, fingerprint, self.state, self.state.operations(provenance.OPERATIONS))
        return trained_by(self.state, job, fingerprint) | known

    def _producer(self, adapter: str) -> Ref | None:
        graph, manifest = self.desire.graph, Ref("Adapter", adapter)
        named = manifest in graph.resources
        return producer(graph, manifest) if named else next(iter(graph.producers.get(adapter, ())), None)

    def _trained(self, adapter: str) -> Artifact:
        job = self._producer(adapter)
        found = self.state.artifact("FineTuningJob", self.desire.items[job].fingerprint) if job else None
        if found is None:
            raise StudioError(
                f"the adapter {adapter!r} has not been trained yet", f"{job or 'its job'} must succeed first"
            )
        return found

    def _get(self, ref: Ref, kind: type[R]) -> R:
        resource = self.desire.graph.resources[ref]
        if not isinstance(resource, kind):
            raise AssertionError(f"{ref} is not a {kind.__name__}")
        return resource


@dataclass(frozen=True, slots=True)
class _Intended(ProjectScope):
    """The same before anything has run: of an adapter only its name is known, of an export nothing it will tell."""

    def _logged(self, ref: Ref, spec: ModelSpec | AdapterSpec) -> Logged | None:
        return None

    def adapter(self, name: str) -> AdapterInput:
        return AdapterInput(name=name, type="project")

    def example(self, adapter: str) -> str:
        return ""

    def provenance(self) -> dict[str, Any]:
        return {}


def intended(item: Desired, desire: Desire, target: Target, state: StateReader) -> Workload | None:
    """What the duration of a desired job will depend on; None for one that could not be compiled."""
    measure = KINDS[item.resource.kind].resources
    asked, work = measure(item.resource) if measure else None, intended_work(item, desire, target, state)
    return workload(work, asked) if work and asked else None


def intended_work(item: Desired, desire: Desire, target: Target, state: StateReader) -> Work | None:
    """The work of a desired job before anything has run; None where it could not be compiled."""
    kind = KINDS[item.resource.kind]
    if kind.compile is None or kind.resources is None or kind.resources(item.resource) is None:
        return None
    try:
        return kind.compile(item.resource, _Intended(item, desire, target, state))
    except StudioError:  # the job will fail with it; nothing is foretold
        return None


def compile_job(item: Desired, desire: Desire, target: Target, state: StateReader, attempt: int) -> JobSpec:
    """The job spec of a desired job whose upstream artifacts exist; raises StudioError when one does not."""
    kind = KINDS[item.resource.kind]
    if kind.compile is None or kind.resources is None or (asked := kind.resources(item.resource)) is None:
        raise AssertionError(f"{item.ref} runs no job")
    key = job_key(item.ref, item.fingerprint)
    work = kind.compile(item.resource, ProjectScope(item, desire, target, state))
    return JobSpec(
        key=key,
        attempt=attempt,
        kind=item.ref.kind,
        name=item.ref.name,
        fingerprint=item.fingerprint,
        environment=target.environment,
        project_dir=str(target.root),
        run_dir=f"{RUNS_FOLDER}/{key}",
        work=work,
        names=names(item, desire),
        resources=asked,
        tracking=tracking(target.settings, target.server),
        secrets=job_secrets.needed(work, target.settings.spec.hf_token.env),
    )
