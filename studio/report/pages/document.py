"""A page as a value: sections of tables, charts, samples. Writers make HTML or Markdown of it and escape every text;
whoever fills it escapes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from studio.core.secrets import redact

Tone = Literal["", "good", "bad", "busy", "quiet"]
"""How something stands: as it should be, not so, under way, of no weight."""


@dataclass(frozen=True, slots=True)
class Words:
    """A text with a tone, such as a state or a verdict; ``full`` is what a short one, such as a digest, stands for."""

    text: str
    tone: Tone = ""
    full: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One curve: of a chart, or small in a cell."""

    name: str
    points: Sequence[tuple[float, float]]


Cell = str | Words | Line


@dataclass(frozen=True, slots=True)
class Figure:
    """One of the few numbers to know first."""

    label: str
    value: str
    note: str = ""
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence."""

    text: str
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Names and values; empty values are left out by the writers."""

    rows: Sequence[tuple[str, Cell]]


@dataclass(frozen=True, slots=True)
class Table:
    """``numeric`` are the positions of columns of numbers. The first cell of a row is its heading."""

    heads: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    numeric: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Code:
    """Text to be read as it is: an error, a template."""

    text: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class LineChart:
    """Curves by step. With ``from_zero`` the axis begins there."""

    title: str
    unit: str
    lines: Sequence[Line]
    from_zero: bool = True


@dataclass(frozen=True, slots=True)
class Bar:
    """A height, and the ends of its whisker where it is known how sure it is."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class BarChart:
    """One metric of several; the first bar is what the others are held against."""

    title: str
    unit: str
    bars: Sequence[Bar]


@dataclass(frozen=True, slots=True)
class Heat:
    """Counts of what was given (across) for what was expected (down)."""

    title: str
    down: Sequence[str]
    across: Sequence[str]
    counts: Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True)
class Node:
    """A box of a diagram. ``job``: something that runs."""

    id: str
    name: str
    kind: str
    note: str = ""
    tone: Tone = ""
    job: bool = False
    focus: bool = False


@dataclass(frozen=True, slots=True)
class Diagram:
    """Boxes, and arrows from what is needed to what needs it. Arrows that lead to no box are left out."""

    title: str
    nodes: Sequence[Node]
    arrows: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What one combination answered."""

    who: str
    text: str
    correct: bool | None


@dataclass(frozen=True, slots=True)
class Sample:
    """A row that was asked, what was expected, and all answers."""

    prompt: str
    expected: str
    answers: Sequence[Answer]
    change: Words


@dataclass(frozen=True, slots=True)
class Samples:
    """Rows side by side; ``note`` says how many there are and how these were chosen."""

    note: str
    rows: Sequence[Sample]


@dataclass(frozen=True, slots=True)
class Gallery:
    """Charts beside each other."""

    charts: Sequence[LineChart | BarChart | Heat]


Block = Note | Pairs | Table | Code | Gallery | Diagram | Samples


@dataclass(frozen=True, slots=True)
class Section:
    """``folded``: shown when asked for."""

    title: str
    blocks: Sequence[Block]
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """One page."""

    kind: str
    name: str
    state: Words
    description: str
    context: Sequence[tuple[str, Cell]]
    figures: Sequence[Figure]
    sections: Sequence[Section]


def cut(text: object, length: int) -> str:
    """A text of bounded length. Secrets are hidden first: half a token would not be known for one."""
    whole = redact(str(text))
    return whole if len(whole) <= length else f"{whole[: length - 1]}…"


def moment(text: str) -> str:
    """A time of the state, to the second, for people."""
    return f"{text[:10]} {text[11:19]} UTC" if text[10:11] == "T" and text.endswith("Z") else text
