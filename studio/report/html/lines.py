"""Curves as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain

from studio.core.numerals import number
from studio.report.html.markup import Markup, join, tag
from studio.report.html.scale import Scale, scale, short
from studio.report.pages.document import Line, LineChart

WIDTH, HEIGHT = 440, 230
LEFT, RIGHT, TOP, BOTTOM = 50, 14, 10, 34
FEW = 40
"""Points that are marked one by one."""
SMALL = (96, 22)
"""Width and height of a curve in a line of text."""


def chart(drawn: LineChart) -> Markup:
    """A figure: title, legend, picture, and in words for who does not see it what it shows."""
    curves = [Line(each.name, _drawable(each.points)) for each in drawn.lines]
    every = list(chain.from_iterable(each.points for each in curves))
    steps = [step for step, _ in every]
    begins = [0.0] if steps and 0 < min(steps) <= max(steps) / 5 else []
    across = scale([*begins, *steps], LEFT, WIDTH - RIGHT, tight=True)
    up = scale((value for _, value in every), HEIGHT - BOTTOM, TOP, from_zero=drawn.from_zero)
    picture = tag(
        "svg",
        _grid(across, up),
        *(_curve(each, number, across, up) for number, each in enumerate(curves)),
        viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=f"{drawn.title}: {_words(curves)}",
    )  # fmt: skip
    return tag("figure", _caption(drawn, curves), picture, class_="chart")


def small(points: Sequence[tuple[float, float]], label: str) -> Markup:
    """A curve without axes, for a cell of a table."""
    known, (width, height) = _drawable(points), SMALL
    across = scale((step for step, _ in known), 2, width - 2, tight=True)
    up = scale((value for _, value in known), height - 3, 3, tight=True)
    path = " ".join(f"{across.at(step)},{up.at(value)}" for step, value in known)
    words = f"{label}: {_words([Line('', known)])}"
    line = tag("polyline", points=path, class_="line s0")
    return tag("svg", line, viewBox=f"0 0 {width} {height}", class_="small", role="img", aria_label=words)


def _drawable(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(step, value) for step, value in points if math.isfinite(step) and math.isfinite(value)]


def _caption(drawn: LineChart, curves: Sequence[Line]) -> Markup:
    legend = [
        tag("span", tag("i", class_=f"key s{number % 4}"), each.name, class_="legend")
        for number, each in enumerate(curves)
    ]
    unit = tag("span", drawn.unit, class_="unit") if drawn.unit else None
    return tag("figcaption", tag("strong", drawn.title), unit, *(legend if len(legend) > 1 else ()))


def _grid(across: Scale, up: Scale) -> Markup:
    rules = [
        join(
            tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=up.at(tick), y2=up.at(tick), class_="rule"),
            tag("text", short(tick), x=LEFT - 7, y=up.at(tick) + 4, text_anchor="end"),
        )
        for tick in up.ticks
    ]
    marks = [
        tag("text", short(tick), x=across.at(tick), y=HEIGHT - BOTTOM + 16, text_anchor="middle")
        for tick in across.ticks
        if tick == round(tick)
    ]
    label = tag("text", "step", x=(LEFT + WIDTH - RIGHT) / 2, y=HEIGHT - 3, text_anchor="middle", class_="axis")
    return join(*rules, *marks, label)


def _curve(line: Line, place: int, across: Scale, up: Scale) -> Markup:
    spots = [(across.at(step), up.at(value)) for step, value in line.points]
    drawn = tag("polyline", points=" ".join(f"{x},{y}" for x, y in spots), class_=f"line s{place % 4}")
    if len(spots) > FEW:
        return drawn
    dots = (
        tag("circle", tag("title", f"step {step:g}: {number(value)}"), cx=x, cy=y, r=2.6, class_=f"dot s{place % 4}")
        for (x, y), (step, value) in zip(spots, line.points, strict=True)
    )
    return join(drawn, *dots)


def _words(curves: Sequence[Line]) -> str:
    told = []
    for each in curves:
        if not each.points:
            continue
        (start, first), (end, last) = each.points[0], each.points[-1]
        least, most = min(value for _, value in each.points), max(value for _, value in each.points)
        told.append(
            f"{each.name} from {number(first)} at step {start:g} to {number(last)} at step {end:g}, "
            f"lowest {number(least)}, highest {number(most)}".strip()
        )
    return "; ".join(told) or "no points"
