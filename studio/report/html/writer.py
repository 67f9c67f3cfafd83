"""A document as one HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from studio.report.html import bars, diagram, lines
from studio.report.html.markup import Markup, join, page, tag
from studio.report.pages.document import (
    Answer,
    BarChart,
    Block,
    Cell,
    Code,
    Diagram,
    Document,
    Figure,
    Gallery,
    Heat,
    Line,
    LineChart,
    Note,
    Pairs,
    Sample,
    Samples,
    Section,
    Table,
    Words,
)


def write(document: Document) -> str:
    """The page; the same document gives the same bytes."""
    title = f"{document.kind} {document.name}"
    sections = [(f"s{number}", each) for number, each in enumerate(document.sections, 1)]
    contents = tag(
        "nav", *(tag("a", each.title, href=f"#{anchor}") for anchor, each in sections), aria_label="Sections"
    )
    return page(
        f"{document.name} · {document.kind}",
        tag("a", "Skip to the content", href="#content", class_="skip"),
        _header(document),
        contents if len(sections) > 1 else None,
        tag("main", *(_section(anchor, each) for anchor, each in sections), id="content", aria_label=title),
        tag("footer", "Made by ", tag("code", "studio report"), " from what is recorded; nothing here is loaded."),
    )


def _header(document: Document) -> Markup:
    description = tag("p", document.description, class_="description") if document.description else None
    context = [
        tag("span", tag("span", name, class_="dim"), " ", _cell(value))
        for name, value in document.context
        if _is(value)
    ]
    return tag(
        "header",
        tag("p", document.kind, class_="kind"),
        tag("h1", document.name, " ", _pill(document.state)),
        description,
        tag("p", *context, class_="context"),
        tag("ul", *map(_figure, document.figures), class_="figures") if document.figures else None,
    )


def _figure(figure: Figure) -> Markup:
    return tag(
        "li",
        tag("span", figure.label, class_="label"),
        tag("span", figure.value, class_=f"value {figure.tone}".strip()),
        tag("span", figure.note, class_="note") if figure.note else None,
    )


def _section(anchor: str, section: Section) -> Markup:
    blocks = [block(each) for each in section.blocks]
    if section.folded:
        return tag("details", tag("summary", tag("h2", section.title)), *blocks, id=anchor, class_="section")
    return tag("section", tag("h2", section.title), *blocks, id=anchor, class_="section")


def block(each: Block) -> Markup:
    """Any part of a page."""
    match each:
        case Note():
            return tag("p", each.text, class_=f"message {each.tone}".strip())
        case Pairs():
            return _pairs(each)
        case Table():
            return table(each)
        case Code():
            label = tag("p", each.label, class_="label") if each.label else None
            return join(label, tag("pre", each.text, tabindex=0, role="region", aria_label=each.label or "text"))
        case Gallery():
            return tag("div", *map(_chart, each.charts), class_="gallery")
        case Diagram():
            return diagram.chart(each)
        case Samples():
            return join(tag("p", each.note, class_="message quiet"), *map(_sample, each.rows))
        case _:
            assert_never(each)


def _chart(each: LineChart | BarChart | Heat) -> Markup:
    match each:
        case LineChart():
            return lines.chart(each)
        case BarChart():
            return bars.chart(each)
        case Heat():
            return bars.heat(each)
        case _:
            assert_never(each)


def _pairs(pairs: Pairs) -> Markup:
    rows = [join(tag("dt", name), tag("dd", _cell(value))) for name, value in pairs.rows if _is(value)]
    return tag("dl", *rows) if rows else Markup("")


def table(each: Table) -> Markup:
    """A table in a box of its own, which scrolls when it is wider than the window."""
    heads = (
        tag("th", head, scope="col", class_="number" if place in each.numeric else None)
        for place, head in enumerate(each.heads)
    )
    rows = (tag("tr", *_cells(row, each.numeric)) for row in each.rows)
    caption = tag("caption", each.caption) if each.caption else None
    body = tag("table", caption, tag("thead", tag("tr", *heads)), tag("tbody", *rows))
    return tag("div", body, class_="scroll", tabindex=0, role="region", aria_label=each.caption or "table")


def _cells(row: Sequence[Cell], numeric: frozenset[int]) -> list[Markup]:
    return [
        tag("th", _cell(cell), scope="row")
        if place == 0
        else tag("td", _cell(cell), class_="number" if place in numeric else None)
        for place, cell in enumerate(row)
    ]


def _cell(cell: Cell) -> Markup:
    match cell:
        case Line():
            return lines.small(cell.points, cell.name)
        case Words(full=full) if full:
            return tag("code", cell.text, title=full)
        case Words(tone=tone) if tone:
            return _pill(cell)
        case Words():
            return join(cell.text)
        case _:
            return join(cell)


def _pill(words: Words) -> Markup:
    return tag("span", words.text, class_=f"pill {words.tone}".strip())


def _is(cell: Cell) -> bool:
    return bool(cell.text if isinstance(cell, Words) else cell)


def _sample(sample: Sample) -> Markup:
    answers = (
        tag("div", tag("p", each.who, " ", _verdict(each), class_="label"), tag("pre", each.text or "(nothing)"))
        for each in sample.answers
    )
    expected = tag("div", tag("p", "expected", class_="label"), tag("pre", sample.expected))
    return tag(
        "article",
        tag("div", tag("p", "asked ", _pill(sample.change) if sample.change.text else None, class_="label"),
            tag("pre", sample.prompt), class_="asked"),
        tag("div", expected, *answers, class_="answers"),
        class_="sample",
    )  # fmt: skip


def _verdict(answer: Answer) -> Markup | None:
    if answer.correct is None:
        return None
    return _pill(Words("right", "good")) if answer.correct else _pill(Words("wrong", "bad"))
