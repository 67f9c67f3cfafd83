"""Text to documents: a fast parser for what is plain, a careful one for what is not.

The careful parser (nodes with positions) runs only for a file that the fast one rejects, that uses anchors or tags,
that is very large, or that something must be reported about.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import ryaml

from studio.core.findings import Path
from studio.load.nodes import MAX_DEPTH, MAX_PARTS, Node, nodes
from studio.load.scalars import resolve

MAX_BRACKETS = 5_000
"""Opening brackets in one document for the fast parser, whose time grows with the square of their depth."""

MAX_EXPANDED = 100_000
"""Values that aliases may add to those that are written out (each takes two characters); a third of a second."""

_MARKS = "&*!%"
_SUSPECT = re.compile(r"(?:^|[\s\[{,:?-])(?:[&*]\S|!)|^%", re.MULTILINE)


def parse(text: str) -> list[Any]:
    """The documents of a YAML stream as plain values; raises YamlFault."""
    if not (_suspect(text) or _crowded(text)):
        try:
            return list(ryaml.loads_all(text) or ())
        except ValueError:
            pass  # the careful parser says what is wrong, and where
    return parse_carefully(text)


def parse_carefully(text: str) -> list[Any]:
    """The same from nodes, slower: what is wrong is said with its place; raises YamlFault."""
    values = _Values(len(text) // 2 + MAX_EXPANDED)
    return [values.value(node) for node in nodes(text)]


def _suspect(text: str) -> bool:
    """Whether anchors, tags or directives may be in a text; or so many values that somebody must count them."""
    return len(text) > 2 * MAX_PARTS or (any(mark in text for mark in _MARKS) and bool(_SUSPECT.search(text)))


def _crowded(text: str) -> bool:
    """Whether one document holds more brackets than the fast parser gets through quickly if they nest."""
    if text.count("[") + text.count("{") <= MAX_BRACKETS:
        return False
    return any(part.count("[") + part.count("{") > MAX_BRACKETS for part in text.split("\n---"))


@dataclass(frozen=True, slots=True)
class Outline:
    """Where everything is in a text, read once for all that is asked of it."""

    nodes: list[Node]

    def locate(self, document: int, path: Path, at_key: bool = False) -> tuple[int, int]:
        """Line and column (from 1) of the value at ``path``; of its nearest existing parent when it is absent."""
        if document >= len(self.nodes):
            return 1, 1
        shown = node = self.nodes[document]
        for index, step in enumerate(path):
            entry = node.entry(step)
            if entry is None:
                break
            key, node = entry
            last = index == len(path) - 1
            shown = key if (last and at_key) or not node.is_scalar else node
        return shown.line + 1, shown.column + 1


def outline(text: str) -> Outline:
    """The places in a text; raises YamlFault."""
    return Outline(nodes(text))


def locate(text: str, document: int, path: Path, at_key: bool = False) -> tuple[int, int]:
    """One place in a text; raises YamlFault."""
    return outline(text).locate(document, path, at_key)


@dataclass(slots=True)
class _Values:
    """Builds plain values from nodes, counting what it makes: ten lines of aliases could expand to billions.

    One count is for a whole file: many documents could each stay just below a limit of their own.
    """

    limit: int
    made: int = 0

    def value(self, node: Node, depth: int = 0) -> Any:
        self.made += 1
        if depth > MAX_DEPTH:
            raise node.fault(f"nested deeper than {MAX_DEPTH} levels", limit=True)
        if self.made > self.limit:
            raise node.fault(f"aliases add more than {MAX_EXPANDED:,} values", limit=True)
        if node.tag is not None:
            raise node.fault(f"the tag {node.tag} is not allowed; manifests are plain data", "remove the tag")
        if node.pairs is not None:
            return self.mapping(node.pairs, depth)
        if node.items is not None:
            return [self.value(item, depth + 1) for item in node.items]
        return resolve(node.text) if node.plain else _characters(node)

    def mapping(self, pairs: list[tuple[Node, Node]], depth: int) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key_node, value_node in pairs:
            if not key_node.is_scalar:
                raise key_node.fault("a key must be plain text")
            key = self.value(key_node, depth)
            if key in found:
                raise key_node.fault(f"the key {key_node.text!r} appears twice", duplicate=True)
            found[key] = self.value(value_node, depth + 1)
        return found


def _characters(node: Node) -> str:
    """A quoted scalar's text; pairs of \\u escapes, as JSON writes them, become the character they stand for."""
    try:
        return str(node.text.encode("utf-16", "surrogatepass").decode("utf-16"))
    except UnicodeDecodeError as error:
        raise node.fault("half of a surrogate pair is not a character") from error
