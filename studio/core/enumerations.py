"""The words that a field may hold."""

from __future__ import annotations

from enum import StrEnum
from functools import cache


@cache
def members(words: type[StrEnum]) -> frozenset[str]:
    """The values of an enumeration, made once: rules ask for thousands of fields whether a text is one of them."""
    return frozenset(words)
