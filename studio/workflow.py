"""The steps of every command, in order: load, graph, observe, check. The only place where the parts meet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from studio.core.findings import Finding, Phase, Severity
from studio.core.references import Ref
from studio.graph import Graph, build
from studio.load import adapters, datasets, models
from studio.load.hub import Hub
from studio.load.observation import Observation
from studio.load.positions import place
from studio.load.project import Loaded, load_project
from studio.resources.adapter import Adapter
from studio.resources.base import Resource
from studio.resources.dataset import Dataset, DatasetFacts
from studio.resources.model import Model
from studio.resources.prompt import Prompt, PromptFacts, generate_templates
from studio.rules.base import View, check


@dataclass(slots=True)
class Checked:
    """A project after load, graph, observe and check."""

    loaded: Loaded
    graph: Graph
    observations: dict[Ref, Observation]
    findings: list[Finding]

    @property
    def errors(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity is Severity.ERROR]


def validate(root: Path, environment: str, phases: Iterable[Phase] = (Phase.STATIC,)) -> Checked:
    """Load a project and check every rule of ``phases``."""
    loaded = load_project(root, environment)
    resources = {ref: manifest.resource for ref, manifest in loaded.manifests.items()}
    graph = build(resources, {ref: manifest.resource for ref, manifest in loaded.defaults.items()})
    observations = observe(graph, loaded.root)
    wanted = frozenset(phases)
    view = View(
        loaded.root, loaded.settings, loaded.manifests, loaded.defaults, graph, observations, loaded.problems,
        hub=Hub(loaded.settings.spec.hf_token.env) if Phase.ONLINE in wanted else None,
    )  # fmt: skip
    return Checked(loaded, graph, observations, place(loaded.root, check(view, wanted)))


def observe(graph: Graph, root: Path) -> dict[Ref, Observation]:
    """What the inputs of a project really are; prompts come last because they may be generated from columns."""
    found = {ref: _observe(resource, root) for ref, resource in graph.resources.items()}
    for ref, resource in graph.resources.items():
        if isinstance(resource, Prompt):
            found[ref] = _prompt(resource, found.get(Ref("Dataset", resource.spec.dataset)))
    return found


def _observe(resource: Resource, root: Path) -> Observation:
    match resource:
        case Dataset():
            return datasets.observe(resource.spec, root)
        case Model():
            return models.observe(resource.spec, root)
        case Adapter():
            return adapters.observe(resource.spec, root)
        case _:
            return None


def _prompt(prompt: Prompt, dataset: Observation) -> PromptFacts | None:
    spec = prompt.spec
    if not spec.generate:
        return PromptFacts(spec.prompt_template, spec.input_template, spec.completion_template)
    if isinstance(dataset, DatasetFacts) and dataset.features:
        return generate_templates(dataset.features)
    return None
