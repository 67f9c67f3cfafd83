"""A page as Markdown, for a terminal, a pull request or a step summary. Charts become a line of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import assert_never

from studio.core.numerals import number
from studio.report.markdown import code, prose
from studio.report.pages.document import (
    BarChart,
    Block,
    Cell,
    Code,
    Diagram,
    Document,
    Gallery,
    Heat,
    Line,
    LineChart,
    Note,
    Pairs,
    Samples,
    Table,
    Words,
)  # fmt: skip
from studio.report.plain import plain
from studio.report.sparkline import sparkline

BEGINNING = "<!-- Fine Tuning Studio: report -->\n"
"""Of every report: a file that begins so may be replaced by another."""
MOST_SAMPLES = 10


def write(document: Document) -> str:
    """The page; the same document gives the same text."""
    title = f"# {document.kind} {code(document.name)}: {_words(document.state)}"
    lines = [BEGINNING.rstrip(), title, ""]
    lines += [prose(document.description), ""] if document.description else []
    lines += [f"- {name}: {_words(value)}" for name, value in document.context if _words(value)]
    lines += [
        f"- **{each.label}: {code(each.value)}** {prose(each.note) if each.note else ''}".rstrip()
        for each in document.figures
    ]
    for section in document.sections:
        lines += ["", f"## {section.title}"]
        for each in section.blocks:
            lines += ["", *_block(each)]
    return "\n".join(lines) + "\n"


def _block(each: Block) -> Iterator[str]:
    match each:
        case Note():
            yield prose(each.text)
        case Pairs():
            yield from (f"- {prose(name)}: {_words(value)}" for name, value in each.rows if _words(value))
        case Table():
            yield from _table(each)
        case Code():
            yield from ([f"{code(each.label)}:", ""] if each.label else [])
            yield from (f"    {plain(line)}" for line in each.text.splitlines())
        case Gallery():
            for chart in each.charts:
                yield from _chart(chart)
        case Diagram():
            yield from (f"- {code(a)} → {code(b)}" for a, b in each.arrows)
        case Samples():
            yield from _samples(each)
        case _:
            assert_never(each)


def _table(each: Table) -> Iterator[str]:
    yield _row([prose(head) if head else "" for head in each.heads])
    yield _row(["---:" if place in each.numeric else "---" for place in range(len(each.heads))])
    yield from (_row([_words(cell) for cell in row]) for row in each.rows)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _chart(chart: LineChart | BarChart | Heat) -> Iterator[str]:
    match chart:
        case LineChart():
            for line in chart.lines:
                yield f"- {code(line.name)}: {_curve(line)}"
        case BarChart():
            for bar in chart.bars:
                yield f"- {prose(chart.title)} of {code(bar.name)}: {number(bar.value)}"
        case Heat():
            right = sum(row[place] for place, row in enumerate(chart.counts) if place < len(row))
            yield f"- {code(chart.title)}: {right:,} of {sum(map(sum, chart.counts)):,} rows on the diagonal"
        case _:
            assert_never(chart)


def _curve(line: Line) -> str:
    values = [value for _, value in line.points]
    if len(values) < 2:
        return number(values[0]) if values else ""
    return f"{sparkline(values)} {number(values[0])} → {number(values[-1])}"


def _samples(each: Samples) -> Iterator[str]:
    yield prose(each.note)
    for sample in each.rows[:MOST_SAMPLES]:
        yield ""
        yield f"- {code(sample.change.text)} {code(sample.prompt)}".rstrip()
        yield f"  - expected: {code(sample.expected)}"
        yield from (f"  - {code(answer.who)}: {code(answer.text or '(nothing)')}" for answer in sample.answers)


def _words(cell: Cell) -> str:
    match cell:
        case Line():
            return _curve(cell)
        case Words():
            return code(cell.text) if cell.text else ""
        case _:
            return code(cell) if cell else ""
