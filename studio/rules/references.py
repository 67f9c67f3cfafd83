"""REF: references between resources."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from pydantic import BaseModel

from studio.core.enumerations import members
from studio.core.findings import Severity
from studio.core.suggest import did_you_mean
from studio.resources.base import marks
from studio.resources.config import Config, ConfigType
from studio.rules.base import Breach, View, rule

HAVE_A_RULE = frozenset(
    [("FineTuningJob", field) for field in ("base_model", "dataset", "prompt", "axolotl_config")]
    + [("EvaluationJob", field) for field in ("model_adapter_combinations", "dataset", "prompt")]
    + [("Adapter", field) for field in ("model", "fine_tuning_job", "prompt")]
)
"""References that the guide has ids for: FT-013 to FT-016, EV-005 to EV-008, AD-002, AD-004 and AD-005."""


@rule("REF-001")
def unknown_reference(view: View) -> Iterator[Breach]:
    """A reference names a resource that does not exist.

    Bad:
        kind: FineTuningJob
        spec:
          lora_config: lora-smal  # <-
    Good:
        kind: FineTuningJob
        spec:
          lora_config: lora-small
    """
    for ref, lost in sorted(view.graph.unresolved.items()):
        manifest = view.manifests.get(ref)
        for reference in lost:
            if manifest and (ref.kind, reference.path[1]) not in HAVE_A_RULE:
                message = f"no {reference.kind} is named {reference.name!r}"
                hint = did_you_mean(reference.name, view.graph.names(reference.kind))
                yield Breach(reference.path, message, hint, ref, manifest.source)


@rule("REF-002")
def cycle(view: View) -> Iterator[Breach]:
    """Resources need each other in a circle.

    None of them could ever be the first. The kinds that come with studio refer in one direction only; this is for
    kinds that are added, such as the stage of a release that comes after another one.

    Bad:
        apiVersion: studio/v1
        kind: Stage
        metadata: {name: canary}
        spec:
          after: production  # <-
        ---
        apiVersion: studio/v1
        kind: Stage
        metadata: {name: production}
        spec:
          after: canary
    Good:
        apiVersion: studio/v1
        kind: Stage
        metadata: {name: canary}
        spec: {}
        ---
        apiVersion: studio/v1
        kind: Stage
        metadata: {name: production}
        spec:
          after: canary
    """
    for cycle in view.graph.cycles:
        first, second = cycle[0], cycle[1]
        manifest = view.manifests.get(first)
        edges = view.graph.edges.get(first, ())
        path = next((edge.reference.path for edge in edges if edge.target == second), ("metadata", "name"))
        message = f"{' needs '.join(map(str, cycle))}"
        hint = "remove one of these references"
        yield Breach(path, message, hint, first, manifest.source if manifest else None)


@rule("REF-003", severity=Severity.WARNING)
def ambiguous_adapter(view: View) -> Iterator[Breach]:
    """An adapter is named that more than one job produces.

    Which weights are meant cannot be told. FT-017 reports the jobs; this is where it matters.

    Bad:
        kind: FineTuningJob
        metadata:
          name: router-again
        spec:
          adapter_name: ticket-router
        ---
        kind: ModelExport
        spec:
          adapter: ticket-router  # <-
    Good:
        kind: FineTuningJob
        metadata:
          name: router-again
        spec:
          adapter_name: ticket-router-2
        ---
        kind: ModelExport
        spec:
          adapter: ticket-router
    """
    if all(len(jobs) == 1 for jobs in view.graph.producers.values()):
        return
    for ref, manifest in view.manifests.items():
        for edge in view.graph.edges.get(ref, ()):
            jobs = view.graph.producers.get(edge.reference.name, ()) if edge.reference.kind == "Adapter" else ()
            if len(jobs) > 1 and edge.target.kind == "FineTuningJob":
                message = f"the adapter {edge.reference.name!r} may be that of {' or '.join(map(str, sorted(jobs)))}"
                hint = "give each job an adapter_name of its own"
                yield Breach(edge.reference.path, message, hint, ref, manifest.source)


@rule("REF-004")
def config_of_another_type(view: View) -> Iterator[Breach]:
    """A field names a configuration of another type than it takes.

    Bad:
        kind: FineTuningJob
        spec:
          lora_config: default-generation  # <-
    Good:
        kind: FineTuningJob
        spec:
          lora_config: default-lora
    """
    for ref, manifest in view.manifests.items():
        for edge in view.graph.edges.get(ref, ()):
            config = view.get(edge.target, Config) if edge.reference.kind == "Config" else None
            if config is None:
                continue
            wanted = _wanted(type(manifest.resource.spec), edge.reference.path[1])
            found = config.spec.type
            if wanted and found in members(ConfigType) and found != wanted:
                hint = _of_type(view, wanted)
                message = f"{config.ref} is of type {found}; this field takes {wanted}"
                yield Breach(edge.reference.path, message, hint, ref, manifest.source)


@cache
def _wanted(spec: type[BaseModel], name: str | int) -> str | None:
    """The type of Config that a field of a kind takes."""
    return next((mark.config for mark in marks(spec) if mark.name == name), None)


def _of_type(view: View, wanted: str) -> str:
    every = {**view.defaults, **view.manifests}.values()
    names = sorted(m.resource.metadata.name for m in every if getattr(m.resource.spec, "type", "") == wanted)
    return f"known: {', '.join(names[:8])}" if names else f"write a Config of type {wanted}"
