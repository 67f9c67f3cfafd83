"""What feeds what: the graph of a project as a picture, and the picture as JSON, DOT and Mermaid.

A picture also holds what the manifests only imply: the adapters that jobs produce, and names that nothing answers to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from studio.core.references import Ref
from studio.graph import Graph
from studio.report.plain import plain
from studio.resources import KINDS
from studio.resources.base import Reference

JSON_VERSION = 1
MERMAID_EDGES = 500
"""More than GitHub draws: Mermaid's default for ``maxEdges``."""


class Origin(StrEnum):
    """Where a node comes from."""

    MANIFEST = "manifest"
    SHIPPED = "shipped"
    PRODUCED = "produced"
    MISSING = "missing"


@dataclass(slots=True)
class Picture:
    """Nodes by identity; ``needs`` holds for each node what it needs, each with the fields that say so."""

    nodes: dict[Ref, Origin] = field(default_factory=dict)
    needs: dict[Ref, dict[Ref, tuple[str, ...]]] = field(default_factory=dict)
    cycles: tuple[tuple[Ref, ...], ...] = ()

    @property
    def edges(self) -> list[tuple[Ref, Ref, tuple[str, ...]]]:
        """(what is needed, what needs it, the fields), sorted."""
        found = ((need, ref, fields) for ref, needs in self.needs.items() for need, fields in needs.items())
        return sorted(found, key=lambda edge: edge[:2])

    def feeds(self) -> dict[Ref, dict[Ref, tuple[str, ...]]]:
        """The same the other way: for each node what needs it, sorted."""
        found: dict[Ref, dict[Ref, tuple[str, ...]]] = {ref: {} for ref in self.nodes}
        for need, ref, fields in self.edges:
            found[need][ref] = fields
        return found

    def around(self, ref: Ref, *, upstream: bool, downstream: bool) -> Picture:
        """The part that ``ref`` needs, directly or not, the part that it feeds, or both."""
        kept = {ref}
        for wanted, neighbours in ((upstream, self.needs), (downstream, self.feeds())):
            if wanted:
                kept |= _reachable(ref, neighbours)
        nodes = {each: origin for each, origin in self.nodes.items() if each in kept}
        needs = {each: {n: f for n, f in self.needs.get(each, {}).items() if n in kept} for each in nodes}
        return Picture(nodes, needs, tuple(cycle for cycle in self.cycles if kept.issuperset(cycle)))


def _reachable(start: Ref, neighbours: Mapping[Ref, Iterable[Ref]]) -> set[Ref]:
    found: set[Ref] = set()
    pending = [start]
    while pending:
        for ref in neighbours.get(pending.pop(), ()):
            if ref not in found:
                found.add(ref)
                pending.append(ref)
    return found


def picture(graph: Graph, own: Iterable[Ref]) -> Picture:
    """The picture of a project; ``own`` are the resources that have a manifest in it."""
    manifests = set(own)
    drawn = Picture(cycles=tuple(graph.cycles))
    for ref in sorted(graph.resources):
        drawn.nodes[ref] = Origin.MANIFEST if ref in manifests else Origin.SHIPPED
    for name, jobs in sorted(graph.producers.items()):
        adapter = Ref("Adapter", name)
        if adapter not in graph.resources:
            drawn.nodes[adapter] = Origin.PRODUCED
            drawn.needs[adapter] = dict.fromkeys(sorted(jobs), ("adapter_name",))
    for ref in sorted(graph.resources):
        references = [edge.reference for edge in graph.edges.get(ref, ())] + list(graph.unresolved.get(ref, ()))
        drawn.needs[ref] = _needs(references)
        for need in drawn.needs[ref]:
            drawn.nodes.setdefault(need, Origin.MISSING)
    drawn.nodes = dict(sorted(drawn.nodes.items()))
    return drawn


def _needs(references: Iterable[Reference]) -> dict[Ref, tuple[str, ...]]:
    """What references name, in the order of the manifest, with the fields that name it."""
    found: dict[Ref, dict[str, None]] = {}
    for reference in references:
        field = ".".join(step for step in reference.path[1:] if isinstance(step, str))
        found.setdefault(Ref(reference.kind, reference.name), {})[field] = None
    return {ref: tuple(fields) for ref, fields in found.items()}


def is_job(ref: Ref) -> bool:
    """Whether resources of this kind run."""
    return ref.kind in KINDS and KINDS[ref.kind].compile is not None


def to_json(drawn: Picture) -> dict[str, Any]:
    """The documented, versioned form; edges run from what is needed to what needs it."""
    nodes = [
        {"resource": str(ref), "kind": ref.kind, "name": ref.name, "origin": origin.value, "job": is_job(ref)}
        for ref, origin in drawn.nodes.items()
    ]
    edges = [{"from": str(need), "to": str(ref), "fields": list(fields)} for need, ref, fields in drawn.edges]
    return {"version": JSON_VERSION, "nodes": nodes, "edges": edges, "cycles": [[*map(str, c)] for c in drawn.cycles]}


def to_dot(drawn: Picture) -> str:
    """A Graphviz digraph."""
    lines = ["digraph studio {", "  rankdir=LR;", '  node [shape=ellipse, fontname="sans-serif"];']
    for ref, origin in drawn.nodes.items():
        style = {Origin.MANIFEST: "", Origin.SHIPPED: "color=gray", Origin.PRODUCED: "style=dashed",
                 Origin.MISSING: "style=dashed, color=red, fontcolor=red"}[origin]  # fmt: skip
        marks = ", ".join(filter(None, ("shape=box" if is_job(ref) else "", style)))
        lines.append(f"  {_quoted(ref)}" + (f" [{marks}];" if marks else ";"))
    for need, ref, fields in drawn.edges:
        lines.append(f"  {_quoted(need)} -> {_quoted(ref)} [tooltip={_quoted(', '.join(fields))}];")
    return "\n".join([*lines, "}"])


def _quoted(text: object) -> str:
    escaped = plain(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def to_mermaid(drawn: Picture) -> str:
    """A Mermaid flowchart, as GitHub draws it from a fenced block of a comment or a page."""
    lines = ["flowchart LR"]
    ids = {ref: f"n{number}" for number, ref in enumerate(drawn.nodes)}
    for ref, origin in drawn.nodes.items():
        left, right = ("[[", "]]") if is_job(ref) else ("([", "])") if origin is Origin.PRODUCED else ("[", "]")
        lines.append(f'  {ids[ref]}{left}"{_entities(ref)}"{right}')
    lines += [f"  {ids[need]} --> {ids[ref]}" for need, ref, _ in drawn.edges]
    looks = {
        Origin.SHIPPED: "stroke:#999,color:#777",
        Origin.MISSING: "stroke:#d33,color:#d33,stroke-dasharray:4",
    }
    for origin, look in looks.items():
        members = [ids[ref] for ref, each in drawn.nodes.items() if each is origin]
        if members:
            lines += [f"  classDef {origin.value} {look}", f"  class {','.join(members)} {origin.value}"]
    return "\n".join(lines)


_HARMLESS = re.compile(r"[^A-Za-z0-9 _./-]")


def _entities(text: object) -> str:
    """A label that cannot end its quotes, open a tag or start formatting."""
    return _HARMLESS.sub(lambda found: f"#{ord(found.group())};", plain(text))
