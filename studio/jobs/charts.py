"""The loss curve of a training run, and what an evaluation draws, as PNG files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

SIZE = (8.0, 4.5)
"""Inches, at 100 dots each."""


def draw_losses(history: list[dict[str, Any]], title: str, path: Path) -> Path:
    """Training loss and, where it was measured, evaluation loss by optimizer step; ``history`` is the Trainer's."""
    figure = Figure(figsize=SIZE, dpi=100, layout="constrained")
    axes = figure.subplots()
    for name, label in (("loss", "training"), ("eval_loss", "held out")):
        points = [(entry["step"], entry[name]) for entry in history if name in entry]
        if points:
            steps, losses = zip(*points, strict=True)
            axes.plot(steps, losses, marker="o" if len(points) < 30 else None, label=label)
    axes.set(title=title, xlabel="step", ylabel="loss (nats per token)")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, metadata={"Software": None})
    return path


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
