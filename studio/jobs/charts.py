"""The curves of a training run, and what an evaluation draws, as PNG files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from studio.core.course import Course

SIZE = (8.0, 4.5)
"""Inches, at 100 dots each."""


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
    for number, panel in enumerate(told):
        _draw_panel(figure.add_subplot(grid[1 + number // columns, number % columns]), panel, course)
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
class Bars:
    """Heights, and the low and high ends of their whiskers; none where nothing says how sure they are."""

    values: list[float]
    whiskers: list[tuple[float, float]]


def draw_bars(metrics: dict[str, Bars], names: list[str], title: str, path: Path) -> Path:
    """One panel per metric, one bar per combination; the first combination, the baseline, is grey."""
    figure = Figure(figsize=(max(4.0, 3.0 * len(metrics)), SIZE[1]), dpi=100, layout="constrained")
    panels = figure.subplots(1, len(metrics), squeeze=False)
    colours = ["0.6"] + ["C0"] * (len(names) - 1)
    for axes, (metric, shown) in zip(panels[0], metrics.items(), strict=True):
        bars = axes.bar(range(len(names)), shown.values, color=colours)
        if shown.whiskers:
            axes.vlines(range(len(names)), *zip(*shown.whiskers, strict=True), color="0.2")
        axes.bar_label(bars, fmt="%.3g", padding=2)
        axes.set_title(metric)
        axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
    figure.suptitle(title)
    figure.savefig(path, metadata={"Software": None})
    return path


def draw_confusion(counted: NDArray[np.intp], names: list[str], title: str, path: Path) -> Path:
    """Expected classes down, given ones across; a cell is as dark as its share of the rows of its class."""
    across = [_short(name) for name in (*names, "(other)")]
    side = 2.5 + 0.4 * len(across)
    figure = Figure(figsize=(side + 1, side), dpi=100, layout="constrained")
    axes = figure.subplots()
    shares = counted / np.maximum(counted.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), number in np.ndenumerate(counted):
        if number:
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(number), ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(len(across)), across, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), across[:-1])
    axes.set(title=_short(title), xlabel="given", ylabel="expected")
    figure.savefig(path, metadata={"Software": None})
    return path


def _short(name: str) -> str:
    """A label of one line; what begins with $ is no formula."""
    return (name if len(name) <= 24 else name[:23] + "…").replace("\n", " ").replace("$", r"\$")
