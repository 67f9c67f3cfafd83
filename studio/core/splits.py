"""How many rows a split leaves on each side: the arithmetic that jobs, rules and previews share."""

from __future__ import annotations

import math
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


def sizes(rows: int, fraction: float, train: float) -> Sizes:
    """Sample, then split; a ``train`` of 1 holds nothing out (datasets, train_test_split: floor for training)."""
    kept = sampled(rows, fraction)
    trained = kept if train >= 1 else math.floor(train * kept)
    return Sizes(trained, kept - trained)
