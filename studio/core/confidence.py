"""How sure an evaluation's numbers are: the levels of its intervals, and which combinations are compared."""

from __future__ import annotations

from collections.abc import Iterator

CONFIDENCES: tuple[float, ...] = (0.8, 0.9, 0.95, 0.99)
"""Levels at which every interval is recorded, so that a gate can ask for another one without running again."""
SHOWN = 0.95
"""The level of intervals that are shown."""
ALL_COMPARED = 12
"""Up to so many combinations, each is compared with every other, else with the baseline only."""


def pairs(combinations: int) -> Iterator[tuple[int, int]]:
    """Which combination is compared with which earlier one, by position."""
    for later in range(1, combinations):
        yield from ((later, earlier) for earlier in range(later if combinations <= ALL_COMPARED else 1))
