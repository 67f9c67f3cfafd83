"""What should be: every resource with its facts and its fingerprint.

A fingerprint covers the outcome fields that differ from their defaults, with references replaced by the fingerprints
they lead to, and the content of inputs. Names, titles and placement are not in it, so none of them retrains; a field
added to a kind later changes no old fingerprint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from studio.core.fingerprints import canonical, digest
from studio.core.references import Ref
from studio.graph import Graph, producer, trials_of
from studio.libraries.observing import determining
from studio.load import configs
from studio.load.observation import Observation
from studio.resources.adapter import Adapter, AdapterFacts
from studio.resources.base import ConfigValue, Effect, FieldMark, Part, Resource, marks, stored
from studio.resources.config import Config
from studio.resources.dataset import DatasetFacts
from studio.resources.evaluation_job import TaskFacts
from studio.resources.fine_tuning_job import FineTuningJob, JobFacts
from studio.resources.matrix import Select
from studio.resources.model import ModelFacts
from studio.resources.model_export import ModelExport
from studio.resources.prompt import Prompt, PromptFacts

CONTENT = "content"
"""Label of an input's own content; of one of several files with its name behind it, as ``content/train.py``."""
CONFIG = "Config/"
REGISTRY, WORKSPACE = "registry", "workspace"
"""Labels of the input that says where an export goes: a registry that is not the project's own, or the workspace that
serves an endpoint."""


@dataclass(frozen=True, slots=True)
class Desired:
    """One resource as it should be. ``inputs`` maps a label (a resource, or ``content``) to its hash."""

    ref: Ref
    resource: Resource
    facts: Observation
    fingerprint: str
    inputs: dict[str, str]
    spec: dict[str, Any]
    metadata: dict[str, Any]
    """Both as they are recorded, see ``stored``."""
    shipped: bool = False
    declared: str = ""
    """The fingerprint that follows from manifests and their inputs alone: the other one of what depends on a sweep also
    says which trial that chose."""


@dataclass(slots=True)
class Desire:
    """All resources of a project as they should be, in dependency order."""

    graph: Graph
    observations: Mapping[Ref, Observation]
    defaults: Mapping[Ref, Resource]
    items: dict[Ref, Desired]
    default_configs: configs.Defaults
    registries: Mapping[Ref, str] = field(default_factory=dict)
    """Exports that leave for another place than the project's own registry, and the hash of that place's identity."""
    config_digests: dict[tuple[str, str], str] = field(default_factory=dict)
    """Of what named Configs hold, by type and label."""
    chosen: dict[Ref, Ref] = field(default_factory=dict)
    """Sweeps to the trial that they choose, where that is known: what depends on a sweep depends on that trial."""

    def config(self, type: str, value: ConfigValue, family: str) -> tuple[str, dict[str, Any]]:
        """Label and content of the configuration in force for a job's field; an absent default is empty."""
        return configs.in_force(self.graph.resources, self.default_configs, type, value, family)

    def family(self, model: str) -> str:
        """The architecture family of a Model, "" when unknown."""
        facts = self.observations.get(Ref("Model", model))
        return facts.family if isinstance(facts, ModelFacts) else ""


def desire(
    graph: Graph,
    observations: Mapping[Ref, Observation],
    defaults: Mapping[Ref, Resource],
    registries: Mapping[Ref, str] | None = None,
) -> Desire:
    """Fingerprint a project that has no errors."""
    known = configs.defaults(graph.resources, defaults)
    found = Desire(graph, observations, defaults, {}, known, registries or {})
    for ref in graph.order:
        resource = graph.resources[ref]
        fingerprint, inputs = fingerprinted(resource, found)
        found.items[ref] = Desired(
            ref, resource, observations.get(ref), fingerprint, inputs, stored(resource.spec),
            stored(resource.metadata), shipped=defaults.get(ref) is resource, declared=fingerprint,
        )  # fmt: skip
    return found


def fingerprinted(resource: Resource, found: Desire) -> tuple[str, dict[str, str]]:
    """The fingerprint of a resource, of which all that it needs has one in ``found``, and its labelled inputs."""
    payload, inputs = _payload(resource, found)
    return digest(payload), inputs


def _payload(resource: Resource, found: Desire) -> tuple[dict[str, Any], dict[str, str]]:
    """What is hashed, and the labelled inputs that explain a difference."""
    if isinstance(resource, Config):
        return _config_payload(resource.spec.type, configs.content(resource)), {}
    inputs: dict[str, str] = {}
    if isinstance(resource, FineTuningJob) and resource.is_sweep:
        return _sweep_payload(resource, found, inputs), inputs
    spec = _outcome(resource.spec, resource, ("spec",), found, inputs)
    content = content_of(found.observations.get(resource.ref))
    if isinstance(content, dict):
        inputs |= {f"{CONTENT}/{name}": hashed for name, hashed in content.items()}
    elif content:
        inputs[CONTENT] = digest(content)
    if isinstance(resource, Prompt):  # its templates are its content, written or generated
        spec = {}
    payload: dict[str, Any] = {"kind": resource.kind, "spec": spec, "content": content}
    place = found.registries.get(resource.ref)
    if place:  # the same model in another place is another outcome
        label = WORKSPACE if isinstance(resource, ModelExport) and resource.is_endpoint else REGISTRY
        inputs[label] = payload[label] = place
    return payload, inputs


def _sweep_payload(sweep: FineTuningJob, found: Desire, inputs: dict[str, str]) -> dict[str, Any]:
    """A sweep's outcome is one of its trials': what those are and how it chooses, not what they are called. Its inputs
    are the trials, and what these are made of, as of any other job."""
    trials = {str(trial): found.items[trial] for trial in trials_of(found.graph, sweep.ref)}
    for trial in trials.values():
        inputs |= trial.inputs
    fingerprints = {name: trial.fingerprint for name, trial in trials.items()}
    inputs |= fingerprints
    choice = sweep.spec.select or Select()
    return {
        "kind": "Sweep", "trials": sorted(fingerprints.values()), "metric": choice.metric, "mode": choice.better,
    }  # fmt: skip


def _config_payload(type: str, content: dict[str, Any]) -> dict[str, Any]:
    """The same for a Config and for an inline mapping: moving one into the other changes no fingerprint."""
    return {"kind": "Config", "type": type, "config": canonical(content)}


def _outcome(
    part: Part, resource: Resource, path: tuple[str | int, ...], found: Desire, inputs: dict[str, str]
) -> dict[str, Any]:
    hashed: dict[str, Any] = {}
    for mark in marks(type(part)):
        value = getattr(part, mark.name)
        if mark.effect is not Effect.OUTCOME or (value == mark.default and not mark.default_config):
            continue
        if mark.config and not resource.reads(mark.name):
            continue
        if mark.config:
            hashed[mark.name] = _config(mark, value, resource, found, inputs)
        elif mark.nested:
            items = enumerate(value)
            hashed[mark.name] = [_outcome(item, resource, (*path, mark.name, i), found, inputs) for i, item in items]
        elif isinstance(value, Part):
            hashed[mark.name] = _outcome(value, resource, (*path, mark.name), found, inputs)
        elif mark.references:
            hashed[mark.name] = _upstream(resource.ref, (*path, mark.name), found, inputs)
        else:
            hashed[mark.name] = value
    return hashed


def _config(mark: FieldMark, value: ConfigValue, resource: Resource, found: Desire, inputs: dict[str, str]) -> str:
    type = mark.config or ""
    label, held = found.config(type, value, found.family(base_model(resource)))
    content = determining(type, held)
    if label in ("inline", "none"):
        return digest(_config_payload(type, content))
    named = (type, label)
    if named not in found.config_digests:
        found.config_digests[named] = digest(_config_payload(type, content))
    inputs[label] = found.config_digests[named]
    return inputs[label]


def base_model(resource: Resource) -> str:
    """The name of the Model whose family decides a job's default configs."""
    combinations = getattr(resource.spec, "model_adapter_combinations", ())
    return combinations[0].base_model if combinations else getattr(resource.spec, "base_model", "")


def _upstream(ref: Ref, path: tuple[str | int, ...], found: Desire, inputs: dict[str, str]) -> str:
    target = found.graph.target(ref, *path)
    if target is None:
        return ""
    made_by = producer(found.graph, target) if target.kind == "Adapter" and not _has_weights(found, target) else None
    source = made_by or target
    fingerprint = found.items[found.chosen.get(source, source)].fingerprint
    inputs[str(target)] = fingerprint
    return fingerprint


def _has_weights(found: Desire, adapter: Ref) -> bool:
    """Whether an Adapter's manifest says where its weights are; else they are what its job produces."""
    resource = found.graph.resources.get(adapter)
    return isinstance(resource, Adapter) and resource.spec.has_weights


def content_of(facts: Observation) -> Any:
    """What determines outcomes of an input, for the fingerprint; None or "" where nobody knows."""
    match facts:
        case DatasetFacts():
            return facts.digest
        case ModelFacts() | AdapterFacts():  # what a run logged does not change any more
            return facts.digest or facts.mlflow_run_id
        case PromptFacts():
            templates = [facts.prompt_template, facts.input_template, facts.completion_template]
            return [*templates, asdict(facts.chat)] if facts.chat else templates
        case JobFacts() | TaskFacts():
            return dict(facts.files)
        case _:
            return None


def names(item: Desired, desire: Desire) -> dict[str, str]:
    """What a job's fields name, and which default Configs are in force; what stands in its parts is in the work."""
    found: dict[str, str] = {}
    family = desire.family(base_model(item.resource))
    for mark in marks(type(item.resource.spec)):
        value = getattr(item.resource.spec, mark.name)
        if mark.config and (value or mark.default_config) and item.resource.reads(mark.name):
            label, _ = desire.config(mark.config, value, family)
            if label.startswith(CONFIG):
                found[mark.name] = label.removeprefix(CONFIG)
        elif mark.references and value and isinstance(value, str):
            found[mark.name] = value
    return found
