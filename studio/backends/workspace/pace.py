"""How often a workspace is asked about what is under way: after a sixtieth of its age, within limits.

What is short is not held up, what is long is not pestered, and neither waits for its end by more than a sixtieth of
what it took.
"""

from __future__ import annotations

FASTEST_SECONDS, SLOWEST_SECONDS = 2.0, 15.0
AGES = 60.0


def pace(age: float) -> float:
    """Seconds between two looks at what began so many seconds ago."""
    return min(max(age / AGES, FASTEST_SECONDS), SLOWEST_SECONDS)
