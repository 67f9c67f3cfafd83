"""The canonical layout of a YAML text: only white space moves, token by token.

Two spaces for each level, also for lists below a key; one space after ``-``, ``:`` and ``,``, none inside brackets;
at most one blank line in a row, none at the start or the end of a document or between a key and its block; comments
on lines of their own stand where their neighbours do, comments behind a value at least two spaces from it and in
their column; no white space at the end of a line. Quotes, line breaks within values, flow or block style and the order
of keys stay as they were written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from studio.load.tokens import LayoutFault, Token, tokens

STEP = 2
_BLANK = " \t"
_MARKERS = frozenset({"DocumentStart", "DocumentEnd", "Directive", "StreamEnd"})
_OPENING = frozenset({"FlowSequenceStart", "FlowMappingStart"})
_CLOSING = frozenset({"FlowSequenceEnd", "FlowMappingEnd"})
_NAMED = frozenset({"Alias", "Anchor", "Tag"})
"""Tokens that would swallow a ``:`` or ``,`` that follows without a space."""
_OPEN_SCALAR = "OpenScalar"
"""A block scalar whose value ends in a line break if there is one."""
_HEADER = re.compile(r"[|>](?:[+-]?([1-9])|([1-9])?[+-]?)")


@dataclass(frozen=True, slots=True)
class Level:
    """An open block: its column as written, its column as it should be. An implied list is as deep as its key."""

    kind: str
    old: int
    new: int


@dataclass(slots=True)
class Sheet:
    """The text while it is laid out."""

    text: str
    comments: list[str] = field(default_factory=list)
    _out: list[str] = field(default_factory=list)
    _column: int = 0
    _stack: list[Level] = field(default_factory=list)
    _before: tuple[Level, ...] = ()
    """The open blocks at the previous token: a comment may belong to one that has ended."""
    _flow: int = 0
    _shift: int = 0
    """By how many columns the outermost bracket moved."""
    _at_key: bool = False
    _opened: bool = False
    _previous: str = ""
    _end: int = 0

    def add(self, token: Token) -> None:
        match token.name:
            case "StreamStart":
                return
            case "BlockMappingStart" | "BlockSequenceStart":
                self._push(token.name, self._old_column(token.start))
            case "BlockEnd":
                self._close_implied()
                self._stack.pop()
            case "Key" | "Value" if not self._flow:
                self._close_implied()
                self._at_key = self._at_key or token.name == "Key"
            case "BlockEntry" if not self._stack or self._stack[-1].kind == "BlockMappingStart":
                self._push("implied", self._old_column(token.start))
            case _:
                pass
        if token.end > token.start or token.name == "StreamEnd":
            self._write(token)

    def finished(self) -> str:
        return "".join(self._out)

    def _push(self, kind: str, old: int) -> None:
        self._stack.append(Level(kind, old, self._inner))
        self._opened = True

    def _close_implied(self) -> None:
        if self._stack and self._stack[-1].kind == "implied":
            self._stack.pop()

    @property
    def _inner(self) -> int:
        """Column of what is one level deeper than the innermost open block."""
        return self._stack[-1].new + STEP if self._stack else 0

    def _old_column(self, index: int) -> int:
        return index - (self.text.rfind("\n", 0, index) + 1)

    def _write(self, token: Token) -> None:
        gap = self.text[self._end : token.start]
        if "\n" in gap or not self._out or token.name == "StreamEnd":
            self._break(token, gap.split("\n"))
        else:
            self._emit(_space(self._previous, token.name, gap, flow=self._flow > 0))
        if token.name in _OPENING:
            if not self._flow:
                self._shift = self._column - self._old_column(token.start)
            self._flow += 1
        content, self._end = self._content(token)
        self._emit(content)
        if token.name in _CLOSING:
            self._flow -= 1
        self._before, self._at_key, self._opened = tuple(self._stack), False, False
        self._previous = _OPEN_SCALAR if _is_open_scalar(token, content) else token.name

    def _emit(self, content: str) -> None:
        self._out.append(content)
        cut = content.rfind("\n")
        self._column = self._column + len(content) if cut < 0 else len(content) - cut - 1

    def _break(self, token: Token, gap: list[str]) -> None:
        """Write the lines between two tokens that are not on one line."""
        ended = token.name == "StreamEnd"
        indent = self._indent(token)
        trailing = None
        if self._out:
            trailing = self._trail(gap.pop(0))
            if ended and not gap and trailing is None and self._previous == _OPEN_SCALAR:
                return  # a line break here would become part of the value
        if not ended or not gap or not gap[-1].strip(_BLANK):
            gap = gap[:-1]
        opening = self._previous in ("Value", "BlockEntry", "Key") and (self._opened or not self._starts_entry(token))
        here = Level("next", self._old_column(token.start), indent)
        known = [here] if opening else [*self._before] if token.name in _MARKERS else [here, *self._before]
        lines = [self._comment_line(line, trailing, known) for line in gap]
        for line in _spaced(lines, bare_start=opening or self._previous in ("", "DocumentStart", "Directive"),
                            bare_end=token.name in _MARKERS):  # fmt: skip
            self._emit(("\n" if self._out else "") + line)
        if self._out:
            self._emit("\n")
        self._emit(" " * indent)

    def _starts_entry(self, token: Token) -> bool:
        return self._at_key or token.name in ("BlockEntry", "Value") or token.name in _MARKERS

    def _trail(self, rest: str) -> Level | None:
        """The comment behind a value, and the columns it had and has."""
        words = self._comment(rest)
        if not words:
            return None
        width = len(rest) - len(rest.lstrip(_BLANK))
        old = self._old_column(self._end) + width
        new = self._column + STEP if width <= STEP else max(old, self._column + STEP)
        self._emit(" " * (new - self._column) + words)
        return Level("comment", old, new)

    def _comment(self, line: str) -> str:
        words = line.strip(_BLANK)
        if words and not words.startswith("#"):
            raise LayoutFault("unexpected characters between two values", self._end)
        if words:
            self.comments.append(words)
        return words

    def _comment_line(self, line: str, trailing: Level | None, known: list[Level]) -> str:
        """A line without a value: its comment stands with the one behind the value above it, or with a neighbour."""
        words = self._comment(line)
        if not words:
            return ""
        column = len(line) - len(line.lstrip(_BLANK))
        if trailing and column == trailing.old:
            return " " * trailing.new + words
        if self._flow:
            return " " * max(column + self._shift, self._inner) + words
        same = next((level for level in known if level.old == column), None)
        less = max((level for level in known if level.old < column), key=lambda level: level.old, default=None)
        level = same or less or next(iter(known), None)
        return " " * (level.new if level else 0) + words

    def _indent(self, token: Token) -> int:
        """The column of a token that is the first on its line."""
        if token.name in _MARKERS:
            return 0
        if self._flow:
            least = self._inner - (STEP if token.name in _CLOSING and self._stack else 0)
            return max(self._old_column(token.start) + self._shift, least)
        if self._starts_entry(token) and self._stack:
            return self._stack[-1].new
        return self._inner

    def _content(self, token: Token) -> tuple[str, int]:
        """What a token looks like from now on, and where it ends in the text."""
        written = self.text[token.start : token.end]
        if token.name == "Scalar" and token.style in ("|", ">"):
            return self._block_scalar(token, written.split("\n"))
        if "\n" not in written:
            return written, token.end
        first, *rest = written.split("\n")
        lines = [_stripped_end(first, token.style)]
        for position, line in enumerate(rest, 1):
            column = len(line) - len(line.lstrip(_BLANK))
            indent = max(column + self._shift, self._inner) if self._flow else self._inner or STEP
            kept = line.lstrip(_BLANK)
            kept = kept if position == len(rest) else _stripped_end(kept, token.style)
            lines.append(" " * indent + kept if kept else "")
        return "\n".join(lines), token.end

    def _block_scalar(self, token: Token, lines: list[str]) -> tuple[str, int]:
        header, *body = lines
        found = _HEADER.match(header)
        digit = (found.group(1) or found.group(2)) if found else None
        keep = found is not None and "+" in found.group()
        if digit:
            level = self._stack[-1] if self._stack else Level("root", 0, 0)
            old, new = level.old + int(digit), level.new + int(digit)
        else:
            first = next((line for line in body if line.strip(" ")), "")
            old = len(first) - len(first.lstrip(" "))
            new = self._inner if self._stack else old
        unknown = not digit and not any(line.strip(" ") for line in body)
        blank = [not line.strip(" ") and (unknown or len(line) <= old) for line in body]
        if body and blank[-1]:  # what follows the last line break belongs to the next token
            body.pop()
        while body and blank[len(body) - 1] and not keep:
            body.pop()
        end = token.start + len("\n".join([header, *body]))
        kept = ["" if blank[at] else " " * new + line[old:] for at, line in enumerate(body)]
        return "\n".join([header.rstrip(_BLANK), *kept]), end


def _is_open_scalar(token: Token, content: str) -> bool:
    return token.style in ("|", ">") and "-" not in content[:3]


def _stripped_end(line: str, style: str) -> str:
    """Without the white space at its end, unless a backslash makes that part of a double-quoted text."""
    kept = line.rstrip(_BLANK)
    return line if style == '"' and kept.endswith("\\") else kept


def _spaced(lines: list[str], *, bare_start: bool, bare_end: bool) -> Iterator[str]:
    """The lines with no more than one blank one in a row, and none where they are bare."""
    kept: list[str] = []
    for line in lines:
        if line or (kept[-1] if kept else not bare_start):
            kept.append(line)
    while kept and not kept[-1] and bare_end:
        kept.pop()
    return iter(kept)


def _space(before: str, token: str, gap: str, *, flow: bool) -> str:
    """What stands between two tokens on one line."""
    as_written = " " if gap else ""
    if token == "Value":
        return " " if before in _NAMED or before in ("Key", "DocumentStart", "BlockEntry") else ""
    if not flow:
        return as_written
    if before in _OPENING:
        return ""
    if token in _CLOSING or token == "FlowEntry":
        return as_written if before == "Value" or before in _NAMED else ""
    return " " if before in ("Value", "FlowEntry", "Key") else as_written


def layout(text: str) -> tuple[str, list[str]]:
    """The text in its canonical layout, and its comments in order; raises LayoutFault.

    A tab between tokens is white space to YAML but not to the scanner, which reads a space in its place.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    try:
        found = list(tokens(text))
    except LayoutFault:
        if "\t" not in text:
            raise
        found = list(tokens(text.replace("\t", " ")))
    sheet = Sheet(text)
    for token in found:
        sheet.add(token)
    return sheet.finished(), sheet.comments
