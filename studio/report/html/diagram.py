"""A graph as SVG, from left to right: each box right of all that it needs, rows ordered so that few arrows cross
(Sugiyama, Tagawa and Toda, 1981: layers, then barycentres)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from studio.report.html.markup import Markup, join, tag
from studio.report.pages.document import Diagram, Node, cut

BOX, TALL, ACROSS, DOWN, EDGE = 168, 50, 36, 14, 8
LANE = 8
"""Height of an arrow's way past the boxes of a layer."""
SWEEPS = 6
LONGEST, LONGEST_NOTE = 21, 24
"""Characters of a name and of the line below it; the whole is the tooltip."""
Spot = tuple[str, ...]
"""A box by its id, or a lane by the two boxes that its arrow joins and the layer that it passes."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The left upper corner of each box and lane, and the size of all."""

    places: Mapping[Spot, tuple[float, float]]
    width: float
    height: float


def chart(drawn: Diagram) -> Markup:
    """A figure as large as the graph is; what does not fit the window is scrolled to."""
    known = {node.id for node in drawn.nodes}
    arrows = sorted({(a, b) for a, b in drawn.arrows if a in known and b in known and a != b})
    layers = _layers([node.id for node in drawn.nodes], arrows)
    laid = _layout(layers, arrows)
    picture = tag(
        "svg",
        *(_arrow(laid, [(a,), *_lanes(a, b, layers), (b,)]) for a, b in arrows),
        *(_box(node, laid.places[(node.id,)]) for node in drawn.nodes),
        viewBox=f"0 0 {laid.width:g} {laid.height:g}", width=f"{laid.width:g}", height=f"{laid.height:g}",
        role="img", aria_label=f"{drawn.title}: {_words(drawn.nodes, arrows)}", class_="fixed graph",
    )  # fmt: skip
    scrolled = tag("div", picture, class_="scroll", tabindex=0, role="region", aria_label=drawn.title)
    return tag("figure", scrolled, class_="chart wide")


def _layout(layers: Mapping[str, int], arrows: Sequence[tuple[str, str]]) -> Layout:
    """Where boxes and lanes are, layer beside layer, each in the middle of the height."""
    columns = _columns(layers, arrows)
    heights = [sum(map(_tall, column)) + DOWN * (len(column) - 1) for column in columns]
    tallest = max(heights, default=0)
    places: dict[Spot, tuple[float, float]] = {}
    for number, (column, height) in enumerate(zip(columns, heights, strict=True)):
        y = EDGE + (tallest - height) / 2
        for spot in column:
            places[spot] = (EDGE + number * (BOX + ACROSS), y)
            y += _tall(spot) + DOWN
    return Layout(places, len(columns) * (BOX + ACROSS) - ACROSS + 2 * EDGE, tallest + 2 * EDGE)


def _tall(spot: Spot) -> int:
    return TALL if len(spot) == 1 else LANE


def _lanes(a: str, b: str, layers: Mapping[str, int]) -> list[Spot]:
    """The ways of an arrow past the layers between its ends; none of one that leads back."""
    return [(a, b, str(layer)) for layer in range(layers[a] + 1, layers[b])]


def _layers(ids: Sequence[str], arrows: Sequence[tuple[str, str]]) -> dict[str, int]:
    """The longest way from a box that needs nothing; then sources move beside what needs them."""
    needs: dict[str, list[str]] = {each: [] for each in ids}
    feeds: dict[str, list[str]] = {each: [] for each in ids}
    for a, b in arrows:
        needs[b].append(a)
        feeds[a].append(b)
    layer: dict[str, int] = {}
    left = dict.fromkeys(sorted(ids))
    while left:
        free = [each for each in left if all(need in layer for need in needs[each])] or [next(iter(left))]
        for each in free:
            layer[each] = max((layer[need] + 1 for need in needs[each] if need in layer), default=0)
            del left[each]
    for each in sorted(ids, key=lambda each: -layer[each]):
        after = [layer[fed] for fed in feeds[each] if layer[fed] > layer[each]]
        if after and not needs[each]:
            layer[each] = min(after) - 1
    return layer


def _columns(layers: Mapping[str, int], arrows: Sequence[tuple[str, str]]) -> list[list[Spot]]:
    """What stands in each layer, from above to below, so that few arrows cross."""
    columns: list[list[Spot]] = [[] for _ in range(max(layers.values(), default=-1) + 1)]
    for each in sorted(layers):
        columns[layers[each]].append((each,))
    beside: dict[Spot, list[Spot]] = {(each,): [] for each in layers}
    for a, b in arrows:
        way = [(a,), *_lanes(a, b, layers), (b,)]
        for number, lane in enumerate(way[1:-1], layers[a] + 1):
            columns[number].append(lane)
            beside[lane] = []
        for left, right in pairwise(way):
            beside[left].append(right)
            beside[right].append(left)
    columns = [column for column in columns if column]
    for sweep in range(SWEEPS):
        height = {spot: (place + 0.5) / len(column) for column in columns for place, spot in enumerate(column)}
        for column in columns if sweep % 2 == 0 else reversed(columns):
            column.sort(key=lambda spot: (_mean([height[other] for other in beside[spot]], height[spot]), spot))
            height |= {spot: (place + 0.5) / len(column) for place, spot in enumerate(column)}
    return columns


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _arrow(laid: Layout, way: Sequence[Spot]) -> Markup:
    """From the right side of a box to the left side of another, straight through its lanes."""
    x, y = laid.places[way[0]]
    x, y = x + BOX, y + TALL / 2
    line = f"M{x:g} {y:g}"
    for spot in way[1:]:
        left, top = laid.places[spot]
        end = left - (6 if spot is way[-1] else 0)
        middle, bend = top + _tall(spot) / 2, max(abs(end - x) / 2, 16)
        line += f"C{x + bend:g} {y:g} {end - bend:g} {middle:g} {end:g} {middle:g}"
        line += "" if spot is way[-1] else f"h{BOX}"
        x, y = left + BOX, middle
    tip = laid.places[way[-1]][0] - 7
    return join(tag("path", d=line, class_="arrow"), tag("path", d=f"M{tip:g} {y - 4:g}l7 4l-7 4z", class_="head"))


def _box(node: Node, place: tuple[float, float]) -> Markup:
    x, y = place
    told = f"{node.kind} {node.note}".strip()
    classes = " ".join(filter(None, ("box", node.tone, "job" if node.job else "", "focus" if node.focus else "")))
    return tag(
        "g",
        tag("title", f"{node.kind}/{node.name} {node.note}".strip()),
        tag("rect", x=f"{x:g}", y=f"{y:g}", width=BOX, height=TALL, rx=3 if node.job else 10),
        tag("text", cut(node.name, LONGEST), x=f"{x + 12:g}", y=f"{y + 21:g}", class_="name"),
        tag("text", cut(told, LONGEST_NOTE), x=f"{x + 12:g}", y=f"{y + 38:g}", class_="kind"),
        class_=classes,
    )


def _words(nodes: Sequence[Node], arrows: Sequence[tuple[str, str]]) -> str:
    names = {node.id: f"{node.kind} {node.name}" for node in nodes}
    told = "; ".join(f"{names[a]} feeds {names[b]}" for a, b in arrows[:40])
    return told + ("; and more" if len(arrows) > 40 else "") or ", ".join(names.values())
