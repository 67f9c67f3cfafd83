"""Text to documents: a fast parser for what is plain, a careful one for what is not.

The careful parser (nodes with positions) runs only for a file that the fast one rejects, that uses anchors or tags,
or that something must be reported about.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from io import StringIO
from typing import Any

import ryaml

from studio.core.findings import Path
from studio.load.scalars import resolve

MAX_DEPTH = 64
MAX_NODES = 200_000
"""Nodes of one document after alias expansion; a bomb of ten lines would expand to billions."""
MAX_BRACKETS = 5_000
"""Opening brackets in one document for the fast parser, whose time grows with the square of their depth."""

_MARKS = "&*!%"
_TAG = re.compile(r"(?:&\S+\s+)?!")
_SUSPECT = re.compile(r"(?:^|[\s\[{,:?-])(?:[&*]\S|!)|^%", re.MULTILINE)


class YamlFault(Exception):
    """Text that is no document. ``limit`` and ``duplicate`` say which kind of fault; line and column from 1."""

    def __init__(self, message: str, line: int, column: int, *, limit: bool = False, duplicate: bool = False) -> None:
        super().__init__(message)
        self.message, self.line, self.column, self.limit, self.duplicate = message, line, column, limit, duplicate


def parse(text: str) -> list[Any]:
    """The documents of a YAML stream as plain values; raises YamlFault."""
    if not ((any(mark in text for mark in _MARKS) and _SUSPECT.search(text)) or _crowded(text)):
        try:
            return list(ryaml.loads_all(text) or ())
        except ValueError:
            pass  # the careful parser says what is wrong, and where
    return [_Values(text).value(node) for node in _nodes(text)]


def _crowded(text: str) -> bool:
    """Whether one document holds more brackets than the fast parser gets through quickly if they nest."""
    if text.count("[") + text.count("{") <= MAX_BRACKETS:
        return False
    return any(part.count("[") + part.count("{") > MAX_BRACKETS for part in text.split("\n---"))


@dataclass(frozen=True, slots=True)
class Outline:
    """Where everything is in a text, read once for all that is asked of it."""

    nodes: list[Any]

    def locate(self, document: int, path: Path, at_key: bool = False) -> tuple[int, int]:
        """Line and column (from 1) of the value at ``path``; of its nearest existing parent when it is absent."""
        node = self.nodes[document] if document < len(self.nodes) else None
        if node is None:
            return 1, 1
        mark = node.start_mark
        for index, step in enumerate(path):
            entry = _entry(node, step)
            if entry is None:
                break
            key, node = entry
            last = index == len(path) - 1
            shown = key if (last and at_key) or not _is_scalar(node) else node
            mark = shown.start_mark
        return mark.line + 1, mark.column + 1


def outline(text: str) -> Outline:
    """The places in a text; raises YamlFault. A tab between tokens is white space, which only the fast parser knows."""
    return Outline(_nodes(text.replace("\t", " ")))


def locate(text: str, document: int, path: Path, at_key: bool = False) -> tuple[int, int]:
    """One place in a text; raises YamlFault."""
    return outline(text).locate(document, path, at_key)


def _nodes(text: str) -> list[Any]:
    """Composed nodes, one for each document; a stream of comments only has none."""
    from ruamel.yaml.error import MarkedYAMLError
    from ruamel.yaml.reader import ReaderError

    try:
        return _compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise YamlFault(_words(error), line, column) from error
    except ReaderError as error:
        before = text[: error.position]
        column = error.position - before.rfind("\n")
        raise YamlFault(
            f"the character U+{_code(error.character):04X} is not allowed", before.count("\n") + 1, column
        ) from error
    except RecursionError as error:
        raise YamlFault(f"nested deeper than {MAX_DEPTH} levels", 1, 1, limit=True) from error


def _compose(text: str) -> list[Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.docinfo import DocInfo
    from ruamel.yaml.error import ReusedAnchorWarning

    yaml = YAML(typ="safe", pure=True)
    yaml.doc_infos.append(DocInfo())  # where the scanner notes a %YAML directive
    constructor, _ = yaml.get_constructor_parser(StringIO(text))
    composer, nodes = constructor.composer, []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReusedAnchorWarning)  # YAML 1.2 allows it: the later one counts
        while composer.check_node():
            nodes.append(composer.get_node())
    return nodes


def _words(error: Any) -> str:
    parts = [part for part in (error.context, error.problem) if part]
    return ", ".join(parts) or "not valid YAML"


def _is_scalar(node: Any) -> bool:
    return isinstance(node.value, str)


def _entry(node: Any, step: str | int) -> tuple[Any, Any] | None:
    """The (key, value) nodes under ``step``; a list item is its own key."""
    if _is_scalar(node):
        return None
    if isinstance(step, int):
        items = node.value
        return (items[step], items[step]) if step < len(items) and not isinstance(items[step], tuple) else None
    pairs = (pair for pair in node.value if isinstance(pair, tuple) and pair[0].value == step)
    return next(pairs, None)


@dataclass(slots=True)
class _Values:
    """Builds plain values from the nodes of ``text``, counting what it makes."""

    text: str
    made: int = 0

    def value(self, node: Any, depth: int = 0) -> Any:
        self.made += 1
        if depth > MAX_DEPTH:
            raise _fault(node, f"nested deeper than {MAX_DEPTH} levels", limit=True)
        if self.made > MAX_NODES:
            raise _fault(node, f"aliases expand to more than {MAX_NODES:,} values", limit=True)
        if _TAG.match(self.text, node.start_mark.index):
            raise _fault(node, f"the tag {node.tag} is not allowed; manifests are plain data")
        if _is_scalar(node):
            return resolve(node.value) if node.style is None else _characters(node)
        if node.value and isinstance(node.value[0], tuple):
            return self.mapping(node, depth)
        return {} if node.tag.endswith(":map") else [self.value(item, depth + 1) for item in node.value]

    def mapping(self, node: Any, depth: int) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            if not _is_scalar(key_node):
                raise _fault(key_node, "a key must be plain text")
            key = self.value(key_node, depth)
            if key in found:
                raise _fault(key_node, f"the key {key!r} appears twice", duplicate=True)
            found[key] = self.value(value_node, depth + 1)
        return found


def _characters(node: Any) -> str:
    """A quoted scalar's text; pairs of \\u escapes, as JSON writes them, become the character they stand for."""
    try:
        return str(node.value.encode("utf-16", "surrogatepass").decode("utf-16"))
    except UnicodeDecodeError as error:
        raise _fault(node, "half of a surrogate pair is not a character") from error


def _fault(node: Any, message: str, *, limit: bool = False, duplicate: bool = False) -> YamlFault:
    mark = node.start_mark
    return YamlFault(message, mark.line + 1, mark.column + 1, limit=limit, duplicate=duplicate)


def _code(character: int | str | bytes) -> int:
    return character if isinstance(character, int) else ord(character)
