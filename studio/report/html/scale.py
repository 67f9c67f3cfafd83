"""Axes: round numbers that cover what is to be drawn."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

WANTED = 4
"""Steps of an axis, about."""
LARGEST = 1e300
"""Numbers beyond are drawn as this: the difference of two such would be infinite."""


@dataclass(frozen=True, slots=True)
class Scale:
    """From the ends of the values to the ends of the picture, with the ticks between."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]

    def at(self, value: float) -> float:
        """Where a value is drawn."""
        share = (bounded(value) - self.low) / ((self.high - self.low) or 1.0)
        return round(self.start + share * (self.end - self.start), 1)


def bounded(value: float) -> float:
    """A value that can be drawn."""
    return max(-LARGEST, min(LARGEST, value))


def scale(values: Iterable[float], start: float, end: float, *, from_zero: bool = False, tight: bool = False) -> Scale:
    """Covers all values with round ends; ``tight`` ends where the values do."""
    known = [bounded(value) for value in values if math.isfinite(value)] or [0.0]
    low, high = min(known), max(known)
    if from_zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if low == high:
        low, high = (
            (low, low + (abs(low) or 1.0)) if from_zero or low == 0 else (low - abs(low) / 2, low + abs(low) / 2)
        )
    step = _step((high - low) / WANTED)
    first, last = math.floor(low / step), math.ceil(high / step)
    if tight:
        first, last = math.ceil(low / step), math.floor(high / step)
    ticks = tuple(number * step for number in range(first, last + 1))
    ends = (low, high) if tight else (ticks[0], ticks[-1])
    return Scale(*ends, start, end, ticks)


def _step(rough: float) -> float:
    """The smallest of 1, 2, 2.5, 5 and 10 times a power of ten that is no smaller."""
    power = 10.0 ** math.floor(math.log10(rough)) if rough > 1e-300 else 1e-300
    return next(times * power for times in (1, 2, 2.5, 5, 10, 20) if times * power >= rough * (1 - 1e-9))


def short(value: float) -> str:
    """A number at an axis: 12k, 0.003, 2.5M."""
    if value == 0:
        return "0"
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size <= abs(value) < size * 1e4:
            return f"{value / (1e3 if letter == 'k' else size):g}{letter}"
    return f"{value:g}" if 100 <= abs(value) < 1e4 else f"{value:.3g}"
