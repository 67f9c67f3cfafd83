"""The curves of a training run, and what an evaluation draws, as PNG files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from studio.core.course import Course
from studio.core.numerals import number

SIZE = (8.0, 4.5)
"""Inches, at 100 dots each."""
MOST_ACROSS = 4
"""Panels of an evaluation beside each other."""


@dataclass(frozen=True, slots=True)
class Panel:
    """Curves that share an axis, each with its name in the legend; values are divided by ``unit``."""

    label: str
    curves: dict[str, str]
    unit: float = 1.0


PANELS = (
    Panel("loss (nats per token)", {"loss": "training", "eval_loss": "held out"}),
    Panel("learning rate", {"learning_rate": "learning rate"}),
    Panel("gradient norm", {"gradient_norm": "gradient norm"}),
    Panel("tokens per second", {"tokens_per_second": "tokens per second"}),
    Panel("memory (GB)", {"memory_bytes": "process", "gpu_memory_bytes": "GPU"}, 1e9),
)


def draw_curves(course: Course, title: str, path: Path) -> Path:
    """The losses above, across the picture; below them whatever else was told of each step."""
    losses, *others = PANELS
    told = [panel for panel in others if any(name in course.curves for name in panel.curves)]
    columns = max(1, (len(told) + 1) // 2)
    rows = -(-len(told) // columns)
    figure = Figure(figsize=(SIZE[0] * max(1.0, columns / 2), SIZE[1] + 2.4 * rows), dpi=100, layout="constrained")
    grid = figure.add_gridspec(1 + rows, columns, height_ratios=[2.0] + [1.0] * rows)
    _draw_panel(figure.add_subplot(grid[0, :]), losses, course)
    for place, panel in enumerate(told):
        _draw_panel(figure.add_subplot(grid[1 + place // columns, place % columns]), panel, course)
    figure.suptitle(_short(title))
    figure.savefig(path, metadata={"Software": None})
    return path


def _draw_panel(axes: Any, panel: Panel, course: Course) -> None:
    drawn = {name: points for name in panel.curves if (points := course.points(name))}
    for name, points in drawn.items():
        values = [value / panel.unit for _, value in points]
        marker = "o" if len(points) < 30 else None
        axes.plot([step for step, _ in points], values, marker=marker, markersize=3, label=panel.curves[name])
    axes.set(xlabel="step", ylabel=panel.label)
    axes.grid(alpha=0.3)
    if len(drawn) > 1:
        axes.legend()
    if not set(panel.curves) & {"loss", "eval_loss"}:
        axes.set_ylim(0, 1.08 * max(axes.get_ylim()[1], 1e-12))


@dataclass(frozen=True, slots=True)
class Bar:
    """A height, and the low and high ends of its whisker; None where nothing says how sure it is."""

    value: float
    whisker: tuple[float, float] | None = None


def draw_bars(metrics: dict[str, list[Bar | None]], names: list[str], title: str, path: Path) -> Path:
    """One panel per metric, one bar per combination, None where it has none; the first combination, the baseline, is
    grey."""
    across = min(len(metrics), MOST_ACROSS)
    down = -(-len(metrics) // across)
    width = max(3.0, 0.6 * len(names))
    figure = Figure(figsize=(max(4.0, width * across), SIZE[1] * down), dpi=100, layout="constrained")
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for axes, (metric, bars) in zip(panels, metrics.items(), strict=False):
        _draw_bars(axes, bars)
        axes.set_title(_short(metric))
        axes.set_xticks(range(len(names)), [_short(name) for name in names], rotation=30, ha="right")
    for axes in panels[len(metrics) :]:
        axes.set_axis_off()
    figure.suptitle(_short(title))
    figure.savefig(path, metadata={"Software": None})
    return path


def _draw_bars(axes: Any, bars: list[Bar | None]) -> None:
    """The number stands above bar and whisker, where nothing crosses it."""
    for place, bar in enumerate(bars):
        if bar is None:
            axes.text(place, 0, "none", ha="center", va="bottom", color="0.4")
            continue
        axes.bar(place, bar.value, color="C0" if place else "0.6")
        if bar.whisker:
            axes.vlines(place, *bar.whisker, color="0.2")
        top = max(bar.value, *(bar.whisker or (0.0,)), 0.0)
        axes.annotate(number(bar.value), (place, top), (0, 2), textcoords="offset points", ha="center", va="bottom")
    axes.set_xlim(-0.6, len(bars) - 0.4)
    axes.margins(y=0.12)


def draw_confusion(counted: NDArray[np.intp], names: list[str], title: str, path: Path) -> Path:
    """Expected classes down, given ones across; a cell is as dark as its share of the rows of its class."""
    across = [_short(name) for name in (*names, "(other)")]
    side = 2.5 + 0.4 * len(across)
    figure = Figure(figsize=(side + 1, side), dpi=100, layout="constrained")
    axes = figure.subplots()
    shares = counted / np.maximum(counted.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), rows in np.ndenumerate(counted):
        if rows:
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(rows), ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(len(across)), across, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), across[:-1])
    axes.set(title=_short(title), xlabel="given", ylabel="expected")
    figure.savefig(path, metadata={"Software": None})
    return path


def _short(name: str) -> str:
    """A label of one line; what begins with $ is no formula."""
    return (name if len(name) <= 24 else name[:23] + "…").replace("\n", " ").replace("$", r"\$")
