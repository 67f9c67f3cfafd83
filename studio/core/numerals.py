"""Numbers as people read them. What is recorded is never rounded: a number that is shown was rounded once."""

from __future__ import annotations

import math


def number(value: float) -> str:
    """Four significant digits; large numbers with separators."""
    if not math.isfinite(value):
        return str(value)
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def signed(value: float) -> str:
    """The same with its sign; zero has +."""
    return f"{'-' if value < 0 else '+'}{number(abs(value))}"
