"""Bars with whiskers, and the matrix of what was answered for what, as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator

from studio.core.numerals import number
from studio.report.html.markup import Markup, join, tag
from studio.report.html.scale import Scale, scale, short
from studio.report.pages.document import Bar, BarChart, Heat, cut

WIDTH, ROW, BOTTOM = 440, 46, 26
LEFT, RIGHT = 8, 62
CELL, MARGIN, ABOVE = 28, 128, 112
LONGEST_NAME = 17
"""Characters of a class beside the matrix; the whole name is its tooltip."""


def chart(drawn: BarChart) -> Markup:
    """One bar below the other, so that names have room; the first is grey."""
    bars = [_drawable(bar) for bar in drawn.bars if math.isfinite(bar.value)]
    height = ROW * len(bars) + BOTTOM
    ends = [value for bar in bars for value in (bar.value, bar.low, bar.high) if value is not None]
    across = scale(ends, LEFT, WIDTH - RIGHT, from_zero=True)
    rules = (
        join(
            tag("line", x1=across.at(tick), x2=across.at(tick), y1=4, y2=height - BOTTOM, class_="rule"),
            tag("text", short(tick), x=across.at(tick), y=height - 8, text_anchor="middle"),
        )
        for tick in across.ticks
    )
    rows = (_bar(bar, place, across) for place, bar in enumerate(bars))
    picture = tag(
        "svg", *rules, *rows, viewBox=f"0 0 {WIDTH} {height}", role="img", aria_label=f"{drawn.title}: {_words(bars)}"
    )
    unit = tag("span", drawn.unit, class_="unit") if drawn.unit else None
    return tag("figure", tag("figcaption", tag("strong", drawn.title), unit), picture, class_="chart")


def _drawable(bar: Bar) -> Bar:
    """Without a whisker that ends nowhere."""
    ends = (bar.low, bar.high)
    return bar if all(end is None or math.isfinite(end) for end in ends) else Bar(bar.name, bar.value)


def _bar(bar: Bar, place: int, across: Scale) -> Markup:
    top = ROW * place
    zero, end = across.at(0), across.at(bar.value)
    farthest = max(end, across.at(bar.high) if bar.high is not None else end)
    return join(
        tag("text", _short(bar.name, 52), tag("title", bar.name), x=LEFT, y=top + 16, class_="name"),
        tag(
            "rect", x=min(zero, end), y=top + 22, width=round(max(abs(end - zero), 1.0), 1), height=16, rx=2,
            class_=f"bar {'base' if place == 0 else 's0'}",
        ),
        *_whisker(bar, top + 30, across),
        tag("text", number(bar.value), x=round(farthest + 7, 1), y=top + 35, class_="value"),
    )  # fmt: skip


def _whisker(bar: Bar, middle: int, across: Scale) -> Iterator[Markup]:
    if bar.low is None or bar.high is None:
        return
    low, high = across.at(bar.low), across.at(bar.high)
    yield tag("line", x1=low, x2=high, y1=middle, y2=middle, class_="whisker")
    for end in (low, high):
        yield tag("line", x1=end, x2=end, y1=middle - 5, y2=middle + 5, class_="whisker")


def _words(bars: list[Bar]) -> str:
    told = (
        f"{bar.name} {number(bar.value)}"
        + (f" ({number(bar.low)} to {number(bar.high)})" if bar.low is not None and bar.high is not None else "")
        for bar in bars
    )
    return ", ".join(told)


def heat(drawn: Heat) -> Markup:
    """Right answers lie on the diagonal; a cell is as strong as its share of its row."""
    width, height = MARGIN + CELL * len(drawn.across) + 24, ABOVE + CELL * len(drawn.down) + 8
    heads = (
        tag(
            "text", _short(name, LONGEST_NAME), tag("title", name), x=0, y=0,
            transform=f"translate({MARGIN + CELL * place + 18} {ABOVE - 8}) rotate(-52)",
        )
        for place, name in enumerate(drawn.across)
    )  # fmt: skip
    rows = (_row(drawn, place) for place in range(len(drawn.down)))
    right = sum(line[place] for place, line in enumerate(drawn.counts) if place < len(line))
    words = f"{drawn.title}: {right} of {sum(map(sum, drawn.counts))} rows on the diagonal"
    picture = tag(
        "svg", *heads, *rows, viewBox=f"0 0 {width} {height}", width=width, height=height, role="img",
        aria_label=words, class_="fixed",
    )  # fmt: skip
    unit = tag("span", "expected down, given across", class_="unit")
    scrolled = tag("div", picture, class_="scroll", tabindex=0, role="region", aria_label=drawn.title)
    return tag("figure", tag("figcaption", tag("strong", drawn.title), unit), scrolled, class_="chart wide")


def _row(drawn: Heat, place: int) -> Markup:
    counts, name, top = drawn.counts[place], drawn.down[place], ABOVE + CELL * place
    total = sum(counts) or 1
    label = tag(
        "text", _short(name, LONGEST_NAME), tag("title", name), x=MARGIN - 8, y=top + 18, text_anchor="end"
    )  # fmt: skip
    cells = []
    for column, count in enumerate(counts):
        left, kind = MARGIN + CELL * column, "right" if column == place else "wrong"
        strength = round(0.15 + 0.85 * count / total, 2) if count else 0
        box = {"x": left + 1, "y": top + 1, "width": CELL - 2, "height": CELL - 2, "rx": 3}
        cells.append(tag("rect", class_="cell", **box))
        if count:
            told = f"{count} of {total} {name}: {drawn.across[column]}"
            cells.append(tag("rect", tag("title", told), class_=f"cell {kind}", fill_opacity=strength, **box))
            strong = "strong" if strength > 0.55 else "name"
            cells.append(tag("text", count, x=left + 14, y=top + 18, text_anchor="middle", class_=strong))
    return join(label, *cells)


def _short(name: str, length: int) -> str:
    return cut(" ".join(name.split()), length)
