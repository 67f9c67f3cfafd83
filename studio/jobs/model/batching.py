"""Rows of similar length together, so that little of a batch is padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LARGEST_BATCH = 128
"""Rows; beyond this, batches gain nothing and the memory of the key-value cache grows."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Row numbers, and the length of the longest of these rows in tokens."""

    rows: tuple[int, ...]
    width: int


def by_tokens(lengths: Sequence[int], tokens: int, extra: int = 0) -> list[Batch]:
    """Batches, longest rows first, with at most ``tokens`` tokens each, padding and ``extra`` per row included.

    Longest first: when memory does not suffice, the first batch fails, not the last. Ties keep the rows' order, so
    the same rows always make the same batches.
    """
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    batches, start = [], 0
    while start < len(order):
        width = lengths[order[start]]
        size = min(LARGEST_BATCH, max(1, tokens // max(width + extra, 1)))
        batches.append(Batch(tuple(order[start : start + size]), width))
        start += size
    return batches
