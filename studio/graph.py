"""References to a graph: which resources feed which, in what order, and what does not resolve."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from heapq import heappop, heappush
from typing import TYPE_CHECKING, NamedTuple

from studio.core.findings import Path
from studio.core.references import Ref
from studio.resources.adapter import Adapter
from studio.resources.base import Effect, Reference, Resource, references
from studio.resources.fine_tuning_job import FineTuningJob, Trial, trials

if TYPE_CHECKING:
    import networkx as nx


class Edge(NamedTuple):
    """``reference`` of a resource, resolved to ``target``."""

    reference: Reference
    target: Ref


@dataclass
class Graph:
    """Resources by identity; edges run from what is needed to what needs it.

    networkx is imported only for what walks the graph: an eighth of a second of a command's start is a lot where the
    rules ask for direct references only.
    """

    resources: dict[Ref, Resource]
    edges: dict[Ref, tuple[Edge, ...]] = field(default_factory=dict)
    unresolved: dict[Ref, tuple[Reference, ...]] = field(default_factory=dict)
    producers: dict[str, tuple[Ref, ...]] = field(default_factory=dict)
    """Adapter name to the jobs that produce it."""
    cycles: list[tuple[Ref, ...]] = field(default_factory=list)
    _targets: dict[Ref, dict[Path, Ref]] = field(default_factory=dict)

    @cached_property
    def _dag(self) -> nx.DiGraph[Ref]:
        import networkx as nx

        dag: nx.DiGraph[Ref] = nx.DiGraph()
        dag.add_nodes_from(self.resources)
        dag.add_edges_from((edge.target, ref) for ref, edges in self.edges.items() for edge in edges)
        return dag

    @cached_property
    def order(self) -> tuple[Ref, ...]:
        """Every resource after all it needs; ties by kind and name (Kahn, 1962). What needs itself is not in it."""
        missing = {ref: len(edges) for ref, edges in self.edges.items()}
        needed_by: dict[Ref, list[Ref]] = {}
        for ref, edges in self.edges.items():
            for edge in edges:
                needed_by.setdefault(edge.target, []).append(ref)
        found, free = [], sorted(ref for ref, count in missing.items() if not count)
        while free:
            ref = heappop(free)
            found.append(ref)
            for other in needed_by.get(ref, ()):
                missing[other] -= 1
                if not missing[other]:
                    heappush(free, other)
        return tuple(found)

    def upstream(self, ref: Ref) -> tuple[Ref, ...]:
        """What ``ref`` needs directly, sorted and without repetition."""
        return tuple(sorted({edge.target for edge in self.edges.get(ref, ())}))

    def downstream(self, ref: Ref) -> set[Ref]:
        """Everything that needs ``ref``, directly or not."""
        import networkx as nx

        return set(nx.descendants(self._dag, ref)) if ref in self._dag else set()

    def ancestors(self, ref: Ref) -> set[Ref]:
        """Everything that ``ref`` needs, directly or not."""
        import networkx as nx

        return set(nx.ancestors(self._dag, ref)) if ref in self._dag else set()

    def target(self, ref: Ref, *path: str | int) -> Ref | None:
        """What the reference at ``path`` of ``ref`` resolves to."""
        targets = self._targets.get(ref)
        return targets.get(path) if targets else None

    def names(self, kind: str) -> tuple[str, ...]:
        """Names that a reference to ``kind`` may use, sorted."""
        return self._names.get(kind, ())

    @cached_property
    def _names(self) -> dict[str, tuple[str, ...]]:
        known: dict[str, set[str]] = {"Adapter": set(self.producers)}
        for ref in self.resources:
            known.setdefault(ref.kind, set()).add(ref.name)
        return {kind: tuple(sorted(names)) for kind, names in known.items()}


def build(resources: Mapping[Ref, Resource], defaults: Mapping[Ref, Resource]) -> Graph:
    """The graph of a project. Shipped defaults join it only where something names them."""
    graph = Graph(dict(resources))
    graph.producers = _producers(resources.values())
    pending = list(resources.values())
    while pending:
        resource = pending.pop()
        found, lost = _resolve(graph, resource, defaults)
        graph.edges[resource.ref] = tuple(found)
        graph._targets[resource.ref] = {edge.reference.path: edge.target for edge in found}
        if lost:
            graph.unresolved[resource.ref] = tuple(lost)
        for edge in found:
            if edge.target not in graph.resources:
                graph.resources[edge.target] = defaults[edge.target]
                pending.append(defaults[edge.target])
    graph.cycles = _cycles(graph) if len(graph.order) < len(graph.edges) else []
    return graph


def _producers(resources: Iterable[Resource]) -> dict[str, tuple[Ref, ...]]:
    found: dict[str, tuple[Ref, ...]] = {}
    for resource in resources:
        if isinstance(resource, FineTuningJob) and resource.spec.adapter_name:
            name = resource.spec.adapter_name
            found[name] = (*found.get(name, ()), resource.ref)
    return found


def _resolve(graph: Graph, resource: Resource, defaults: Mapping[Ref, Resource]) -> tuple[list[Edge], list[Reference]]:
    found, lost = [], []
    for reference in references(resource.spec):
        target = _target(graph, reference, defaults)
        if target is None:
            lost.append(reference)
        else:
            found.append(Edge(reference, target))
    if isinstance(resource, FineTuningJob) and resource.is_sweep:
        found += _trials(graph, resource)
    return found, lost


def _trials(graph: Graph, sweep: FineTuningJob) -> Iterator[Edge]:
    """A sweep needs its trials, and names none of them."""
    for name, point in trials(sweep):
        ref = Ref(sweep.kind, name)
        trial = graph.resources.get(ref)
        if isinstance(trial, Trial) and trial.sweep == sweep.metadata.name:
            path = ("spec", "matrix", point.slug)
            yield Edge(Reference(path, sweep.kind, name, Effect.OUTCOME), ref)


def _target(graph: Graph, reference: Reference, defaults: Mapping[Ref, Resource]) -> Ref | None:
    ref = Ref(reference.kind, reference.name)
    if ref in graph.resources or ref in defaults:
        return ref
    if reference.kind == "Adapter":  # an adapter that a job produces needs no manifest of its own
        return next(iter(graph.producers.get(reference.name, ())), None)
    return None


def _cycles(graph: Graph) -> list[tuple[Ref, ...]]:
    import networkx as nx

    dag, found = graph._dag, []
    for component in nx.strongly_connected_components(dag):
        if len(component) > 1 or dag.has_edge(first := next(iter(component)), first):
            found.append(_cycle(dag.subgraph(component)))
    return sorted(found)


def _cycle(component: nx.DiGraph[Ref]) -> tuple[Ref, ...]:
    """One cycle as a path from its smallest member back to it, each followed by what it needs."""
    import networkx as nx

    start = min(component)
    walk = [edge[0] for edge in nx.find_cycle(component.reverse(), start)]
    turn = walk.index(min(walk))
    return (*walk[turn:], *walk[:turn], walk[turn])


def trials_of(graph: Graph, ref: Ref) -> tuple[Ref, ...]:
    """The trials that a sweep chooses among, sorted; none of what is no sweep."""
    sweep = graph.resources.get(ref)
    if not isinstance(sweep, FineTuningJob) or not sweep.is_sweep:
        return ()
    return tuple(each for each in graph.upstream(ref) if each.kind == ref.kind)


def producer(graph: Graph, adapter: Ref) -> Ref | None:
    """The job that makes an adapter: the reference itself, or the one its manifest names."""
    if adapter.kind == "FineTuningJob":
        return adapter
    resource = graph.resources.get(adapter)
    if isinstance(resource, Adapter) and resource.spec.fine_tuning_job:
        return graph.target(adapter, "spec", "fine_tuning_job")
    return None
