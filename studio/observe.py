"""What the inputs of a project really are."""

from __future__ import annotations

from pathlib import Path

from studio.core.references import Ref
from studio.graph import Graph
from studio.load import adapters, chat_templates, datasets, job_files, models, task_files
from studio.load.observation import Observation, Unusable
from studio.resources.adapter import Adapter
from studio.resources.base import Resource, Spec
from studio.resources.dataset import Dataset, DatasetFacts
from studio.resources.evaluation_job import EvaluationJob
from studio.resources.fine_tuning_job import FineTuningJob
from studio.resources.model import Model
from studio.resources.prompt import ChatFacts, Prompt, PromptFacts, generate_templates

Observed = dict[Spec, Observation]
"""What there is behind a spec; the same in every environment."""


def observe(graph: Graph, root: Path, observed: Observed | None = None) -> dict[Ref, Observation]:
    """Look at every input; prompts come last because they may be generated from columns."""
    seen = {} if observed is None else observed
    found = {ref: _once(resource, root, seen) for ref, resource in graph.resources.items()}
    for ref, resource in graph.resources.items():
        if isinstance(resource, Prompt):
            found[ref] = _prompt(resource, found.get(Ref("Dataset", resource.spec.dataset)), root)
    return found | {ref: facts for ref, job in graph.resources.items() if (facts := _files(job, graph, root))}


def _files(job: Resource, graph: Graph, root: Path) -> Observation:
    """What a job reads besides its data."""
    match job:
        case FineTuningJob():
            return job_files.observe(job.spec, graph.resources, root)
        case EvaluationJob():
            return task_files.observe(job.spec, root)
        case _:
            return None


def _once(resource: Resource, root: Path, seen: Observed) -> Observation:
    """Observe, but read what several resources share only once."""
    if not isinstance(resource, Dataset | Model | Adapter):
        return None
    if resource.spec not in seen:  # specs of two kinds are never equal
        seen[resource.spec] = look_at(resource, root)
    return seen[resource.spec]


def look_at(resource: Resource, root: Path) -> Observation:
    """What one resource's input really is; None for what has none, or none on this machine."""
    match resource:
        case Dataset():
            return datasets.observe(resource.spec, root)
        case Model():
            return models.observe(resource.spec, root)
        case Adapter():
            return adapters.observe(resource.spec, root)
        case _:
            return None


def _prompt(prompt: Prompt, dataset: Observation, root: Path) -> PromptFacts | Unusable | None:
    spec = prompt.spec
    if spec.is_chat:
        template = chat_templates.given(root, spec.chat_template) if spec.chat_template else ""
        if isinstance(template, Unusable):
            return template
        chat = ChatFacts(spec.messages, spec.system, template)
        return PromptFacts(spec.prompt_template, spec.input_template, spec.completion_template, chat)
    if not spec.generate:
        return PromptFacts(spec.prompt_template, spec.input_template, spec.completion_template)
    if isinstance(dataset, DatasetFacts) and dataset.features:
        return generate_templates(dataset.features)
    return None
