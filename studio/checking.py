"""The first steps of every command: load, graph, observe, check."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from studio.backends import BACKENDS
from studio.core.findings import OFFLINE, Finding, Phase, Severity, sort_key
from studio.core.references import Ref
from studio.graph import Graph, build
from studio.load.observation import Observation
from studio.load.online import DATA, Online, online
from studio.load.patches import blame
from studio.load.positions import place
from studio.load.project import DEFAULT_ENVIRONMENT, NOTHING, Loaded, load_project, load_settings
from studio.load.readings import Readings
from studio.load.readings import place as readings_place
from studio.load.variables import explained
from studio.load.verdicts import Shelf, Verdict
from studio.load.witness import watching
from studio.observe import Observed, observe
from studio.resources.base import stored
from studio.rules.base import View, check


@dataclass(slots=True)
class Checked:
    """A project after load, graph, observe and check."""

    loaded: Loaded
    graph: Graph
    observations: dict[Ref, Observation]
    findings: list[Finding]
    online: Online | None = None
    """There when the hub and the registry were asked, with all that they answered."""

    @property
    def errors(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity is Severity.ERROR]

    @property
    def verdict(self) -> Verdict:
        """What a report tells of it, and what is kept for the next run."""
        resources = {ref: manifest.source.file for ref, manifest in self.loaded.manifests.items()}
        return Verdict(self.findings, resources, self.loaded.files)


def validate(
    root: Path, environment: str | None = None, phases: Iterable[Phase] = (Phase.STATIC,),
    given: Mapping[str, str] = NOTHING,
) -> Checked:  # fmt: skip
    """Load a project and check every rule of ``phases``.

    Without an environment: the project as it is, with what each environment's settings and patches break beyond that.
    """
    if environment is not None:
        return examine(load_project(root, environment, given), phases)
    others = sorted({*load_settings(root).settings.spec.environments} - {DEFAULT_ENVIRONMENT})
    readings, observed = Readings(lasting=bool(others)), Observed()
    checked = examine(load_project(root, DEFAULT_ENVIRONMENT, given, readings), phases, observed)
    known = set(checked.findings)
    found = list(checked.findings)
    for name in others:
        there = examine(load_project(root, name, given, readings), phases, observed).findings
        found += [_of_environment(finding, name) for finding in there if finding not in known]
    return replace(checked, findings=sorted(found, key=sort_key))


def _of_environment(finding: Finding, name: str) -> Finding:
    return replace(finding, environment=name, message=f"in environment {name}: {finding.message}")


def examine(loaded: Loaded, phases: Iterable[Phase], observed: Observed | None = None) -> Checked:
    """Graph, observations, and what the rules of ``phases`` find. ``observed``: what a run has seen before."""
    return _judged(view(loaded, phases, observed), loaded, phases)


def recheck(root: Path, environment: str, shelf: Shelf) -> Checked:
    """Load a project in one environment; what the offline rules found is taken from ``shelf`` or kept there.

    Once nothing has changed for a run, what the files say is kept for the next ones.
    """
    with watching() as witness:
        readings = Readings(lasting=True, place=readings_place(root, os.environ))
        loaded = load_project(root, environment, readings=readings)
        seen = view(loaded)
        known = shelf.recall(witness)
        if known:
            readings.keep(root, witness)
            return Checked(loaded, seen.graph, dict(seen.observations), known.findings)
        checked = _judged(seen, loaded, OFFLINE)
        shelf.keep(checked.verdict, witness)
    return checked


def _judged(seen: View, loaded: Loaded, phases: Iterable[Phase]) -> Checked:
    findings = [blame(explained(finding, loaded.told), loaded.origins) for finding in check(seen, phases)]
    return Checked(loaded, seen.graph, dict(seen.observations), place(loaded.root, findings), seen.online)


def view(loaded: Loaded, phases: Iterable[Phase] = (), observed: Observed | None = None) -> View:
    """All that rules and previews look at: the graph, and what the inputs really are."""
    resources = {ref: manifest.resource for ref, manifest in loaded.manifests.items()}
    graph = build(resources, {ref: manifest.resource for ref, manifest in loaded.defaults.items()})
    asked = online(loaded.settings.spec, loaded.root, os.environ) if Phase.ONLINE in phases else None
    return View(
        loaded.root, loaded.settings, loaded.manifests, loaded.defaults, graph,
        {**observe(graph, loaded.root, observed), **_answered(graph, asked)}, loaded.problems,
        unread=loaded.unread,
        used=frozenset(loaded.variables.used),
        backend_types=tuple(sorted(BACKENDS)),
        online=asked,
    )  # fmt: skip


def _answered(graph: Graph, asked: Online | None) -> Mapping[Ref, Observation]:
    """What the registry says of inputs that are there; the hub is asked along with it, and answers to rules."""
    if asked is None:
        return {}
    data = (resource for resource in graph.resources.values() if isinstance(resource, DATA))
    asked.ask((resource.kind, stored(resource.spec)) for resource in data)
    facts = ((ref, asked.facts(resource)) for ref, resource in graph.resources.items())
    return {ref: found for ref, found in facts if found}
