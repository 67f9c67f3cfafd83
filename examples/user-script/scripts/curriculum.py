"""The order of the rows: the short ones first, then more and more of the others."""

from __future__ import annotations

import random
from collections.abc import Iterator

Row = tuple[list[int], list[int]]


def steps(rows: list[Row], stages: list[float], epochs: float, batch: int, seed: int) -> Iterator[list[Row]]:
    """Batches of each stage, which sees a share of the rows, the shortest ones; the epochs are shared among them."""
    ordered = sorted(rows, key=lambda row: len(row[0]))
    drawn = random.Random(seed)
    for share in stages:
        known = ordered[: max(batch, round(share * len(ordered)))]
        for _ in range(max(1, round(epochs / len(stages)))):
            drawn.shuffle(known)
            yield from (known[start : start + batch] for start in range(0, len(known), batch))
