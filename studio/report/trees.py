"""What feeds what, as a tree of text: what nothing else needs stands at the left, below it what it needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import click

from studio.core.references import Ref
from studio.report.graphs import Origin, Picture, is_job
from studio.report.plain import plain

DEEPEST = 40
"""Levels of a branch before it goes on at the left: the width of a line grows with them."""
Neighbours = Mapping[Ref, Mapping[Ref, tuple[str, ...]]]


@dataclass(slots=True)
class _Tree:
    """One forest while it is printed. Nodes are visited with a list, not by recursion: a graph may be deep."""

    drawn: Picture
    below: Neighbours
    shown: set[Ref] = field(default_factory=set)
    postponed: list[Ref] = field(default_factory=list)

    def lines(self, roots: list[Ref]) -> Iterator[str]:
        pending = roots[::-1]
        while pending:
            root = pending.pop()
            if root not in self.shown:
                yield from self.branch(root)
                pending += reversed(self.postponed)
                self.postponed.clear()

    def branch(self, root: Ref) -> Iterator[str]:
        self.shown.add(root)
        yield self.name(root)
        path = [root]
        stack = [self.children(root, "")]
        while stack:
            step = next(stack[-1], None)
            if step is None:
                stack.pop()
                path.pop()
                continue
            ref, head, indent, label = step
            again = self.repeated(ref, path)
            yield f"{head}{click.style(label, dim=True)}{self.name(ref)}{again}"
            if not again:
                self.shown.add(ref)
                path.append(ref)
                stack.append(self.children(ref, indent))

    def children(self, ref: Ref, indent: str) -> Iterator[tuple[Ref, str, str, str]]:
        """Each neighbour with what stands before its line, before the lines below it, and its fields."""
        entries = list(self.below.get(ref, {}).items())
        for at, (child, fields) in enumerate(entries):
            last = at == len(entries) - 1
            head, deeper = ("└─ ", "   ") if last else ("├─ ", "│  ")
            yield child, indent + head, indent + deeper, f"{plain(', '.join(fields))}: "

    def repeated(self, ref: Ref, path: list[Ref]) -> str:
        """Why a node is not followed here; "" when it is."""
        if ref in self.shown:
            if ref in path:
                return click.style(" (cycle)", fg="red")
            return click.style(" (above)", dim=True)
        if len(path) >= DEEPEST and self.below.get(ref):
            self.postponed.append(ref)
            return click.style(" (below)", dim=True)
        return ""

    def name(self, ref: Ref) -> str:
        origin = self.drawn.nodes[ref]
        marks = ["job"] if is_job(ref) else []
        marks += [] if origin is Origin.MANIFEST else [origin.value]
        shown = click.style(plain(ref), fg="red" if origin is Origin.MISSING else None, bold=is_job(ref) or None)
        return shown + (f" ({', '.join(marks)})" if marks else "")


def to_text(drawn: Picture, *, downstream: bool = False, root: Ref | None = None) -> str:
    """A tree of what ``root`` needs or, with ``downstream``, of what it feeds; without a root, of everything.

    A node that several others need is shown in full the first time and by its name after that.
    """
    below: Neighbours = drawn.feeds() if downstream else {ref: drawn.needs.get(ref, {}) for ref in drawn.nodes}
    tree = _Tree(drawn, below)
    fed = {child for children in below.values() for child in children}
    first = [ref for ref in below if ref not in fed]
    return "\n".join(tree.lines([root] if root else [*first, *below]))  # those after the first ones lie on cycles
