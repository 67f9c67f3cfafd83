"""YAML text to nodes with their places: the parser's events, put together without recursion and within limits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

MAX_DEPTH = 128
"""Levels of nesting; the fast parser's own limit."""
MAX_PARTS = 1_000_000
"""Values in a file; so many take three seconds. A text of fewer than twice as many characters cannot hold more."""
MAX_SLOW = 64 << 10
"""Characters that the slow parser gets; it reads 200 KiB a second."""

_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What is no character of a YAML text (YAML 1.2.2, 5.1)."""
_BREAKS = "\n\r\x85\u2028\u2029"


class YamlFault(Exception):
    """Text that is no document. ``limit`` and ``duplicate`` say which kind of fault; line and column from 1."""

    def __init__(
        self, message: str, line: int, column: int, hint: str = "", *, limit: bool = False, duplicate: bool = False
    ) -> None:
        super().__init__(message)
        self.message, self.line, self.column, self.limit, self.duplicate = message, line, column, limit, duplicate
        self.hint = hint or "check indentation, quotes and brackets around this place"


@dataclass(slots=True, eq=False)
class Node:
    """A value and its place, from 0. ``pairs`` is the content of a mapping, ``items`` that of a list; a scalar has
    neither, and is ``plain`` when it is not quoted."""

    line: int
    column: int
    tag: str | None = None
    text: str = ""
    plain: bool = False
    pairs: list[tuple[Node, Node]] | None = None
    items: list[Node] | None = None
    _keys: dict[str, tuple[Node, Node]] | None = field(default=None, repr=False)

    @property
    def is_scalar(self) -> bool:
        return self.pairs is None and self.items is None

    def entry(self, step: str | int) -> tuple[Node, Node] | None:
        """The key and the value under ``step``; a list item is its own key."""
        if isinstance(step, int):
            return (self.items[step], self.items[step]) if self.items and step < len(self.items) else None
        if self.pairs is None:
            return None
        if self._keys is None:
            self._keys = {key.text: (key, value) for key, value in reversed(self.pairs) if key.is_scalar}
        return self._keys.get(step)

    def fault(self, message: str, hint: str = "", *, limit: bool = False, duplicate: bool = False) -> YamlFault:
        return YamlFault(message, self.line + 1, self.column + 1, hint, limit=limit, duplicate=duplicate)


def nodes(text: str) -> list[Node]:
    """One node for each document; a stream of comments only has none. Raises YamlFault.

    What libyaml refuses is given to the slow parser, which knows a little more of YAML 1.2 and says more clearly what
    is wrong; unless the text is so long that somebody would have to wait.
    """
    bad = _FORBIDDEN.search(text)
    if bad:
        line, column = _place(text, bad.start())
        raise YamlFault(f"the character U+{ord(bad.group()):04X} is not allowed", line, column)
    try:
        return _composed(_libyaml(text))
    except YamlFault as fault:
        if fault.limit or len(text) > MAX_SLOW:
            raise
    return _composed(_slowly(text))


def _libyaml(text: str) -> Iterator[Any]:
    import yaml

    try:
        yield from yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        raise _fault(error, text) from error
    except yaml.YAMLError as error:
        raise YamlFault("not valid YAML", 1, 1) from error


def _slowly(text: str) -> Iterator[Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.docinfo import DocInfo
    from ruamel.yaml.error import MarkedYAMLError

    slow = YAML(typ="safe", pure=True)
    slow.doc_infos.append(DocInfo())  # where its scanner notes a %YAML directive
    try:
        yield from slow.parse(StringIO(text))
    except MarkedYAMLError as error:
        raise _fault(error, text) from error


def _fault(error: Any, text: str) -> YamlFault:
    """What a parser says is wrong, where it says so, and where what it was reading began if that is lines above."""
    mark, begun = error.problem_mark or error.context_mark, error.context_mark
    parts = [part for part in (error.context, error.problem) if part]
    above = bool(parts and error.context and begun and begun.line < mark.line)
    if above:
        parts[0] += f" that begins in line {begun.line + 1}"
    words = ", ".join(parts) or "not valid YAML"
    if mark is None:
        return YamlFault(words, 1, 1)
    if text[max(mark.index - 1, 0) : mark.index + 5] == "${var.":
        return YamlFault(
            words, mark.line + 1, mark.column + 1, 'quote it: within braces or brackets write "${var.name}"'
        )
    opened = text[begun.index : begun.index + 1] if above else ""
    if opened and opened in "[{\"'":
        return YamlFault(words, mark.line + 1, mark.column + 1, f"close the {opened} of line {begun.line + 1}")
    return YamlFault(words, mark.line + 1, mark.column + 1, _advice(text[mark.index : mark.index + 1], begun is None))


def _advice(stopped: str, plain: bool) -> str:
    """What the character where the parser stopped usually means; ``plain`` when it was within nothing else."""
    match stopped:
        case "\t":
            return "indent with spaces: YAML takes no tabs there"
        case ":" if plain:
            return "quote the whole text, or correct the indentation: a colon and a space begin a mapping"
        case "@" | "`" | "%":
            return "quote the text: it may not begin with this character"
    return ""


def _composed(events: Iterator[Any]) -> list[Node]:
    documents: list[Node] = []
    open_nodes: list[list[Node]] = [documents]
    started: list[Node] = []
    anchors: dict[str, Node] = {}
    made = 0
    for event in events:
        kind = type(event).__name__
        if kind == "DocumentStartEvent":
            anchors = {}
        elif kind == "AliasEvent":
            mark = event.start_mark
            if event.anchor not in anchors:
                raise YamlFault(f"found undefined alias {event.anchor!r}", mark.line + 1, mark.column + 1)
            open_nodes[-1].append(anchors[event.anchor])
        elif kind in ("ScalarEvent", "SequenceStartEvent", "MappingStartEvent"):
            node = _node(event, kind)
            made += 1
            if made > MAX_PARTS:
                raise node.fault(f"the file holds more than {MAX_PARTS:,} values", limit=True)
            if event.anchor:
                anchors[event.anchor] = node
            open_nodes[-1].append(node)
            if kind != "ScalarEvent":
                if len(started) == MAX_DEPTH:
                    raise node.fault(f"nested deeper than {MAX_DEPTH} levels", limit=True)
                started.append(node)
                open_nodes.append([])
        elif kind in ("SequenceEndEvent", "MappingEndEvent"):
            _close(started.pop(), open_nodes.pop())
    return documents


def _node(event: Any, kind: str) -> Node:
    mark = event.start_mark
    tag = None if event.tag is None else str(event.tag)
    if kind == "ScalarEvent":
        return Node(mark.line, mark.column, tag, event.value, event.style in (None, ""))
    empty: list[Any] = []
    return (
        Node(mark.line, mark.column, tag, items=empty)
        if kind[0] == "S"
        else Node(mark.line, mark.column, tag, pairs=empty)
    )


def _close(node: Node, content: list[Node]) -> None:
    if node.items is not None:
        node.items += content
    elif node.pairs is not None:
        node.pairs += zip(content[::2], content[1::2], strict=True)


def _place(text: str, index: int) -> tuple[int, int]:
    """Line and column from 1 of a character."""
    before = text[:index]
    breaks = sum(map(before.count, _BREAKS)) - before.count("\r\n")
    return breaks + 1, index - max(map(before.rfind, _BREAKS))
