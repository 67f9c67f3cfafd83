"""How many rows a split leaves on each side: the arithmetic that jobs, rules and previews share."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

TRAIN = "train"
HELD_OUT = ("test", "eval", "validation")
"""Splits that are kept as held-out rows, in order of preference (guide, Training Script Architecture)."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Numbers of rows."""

    train: int
    held_out: int


def sampled(rows: int, fraction: float) -> int:
    """Rows that a share of ``rows`` comes to, rounded down."""
    return rows if fraction >= 1 else int(rows * fraction)


def unseen(rows: int, splits: Iterable[tuple[float, float]]) -> int:
    """Rows of one file that no training saw, each with its fraction and its share for training; at most so many where
    these differ."""
    return rows - max((sizes(rows, *split).train for split in splits), default=0)


def sizes(rows: int, fraction: float, train: float) -> Sizes:
    """Sample, then split; a ``train`` of 1 holds nothing out (datasets, train_test_split: floor for training)."""
    kept = sampled(rows, fraction)
    trained = kept if train >= 1 else math.floor(train * kept)
    return Sizes(trained, kept - trained)
