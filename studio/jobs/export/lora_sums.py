"""What peft 0.21's ``merge_and_unload`` computes for one weight (safe_merge off, on CPU), bit for bit, some rows at a
time.

The product is made in float32, or in float64 for a float64 weight, and scaled. A linear layer's sum is rounded once to
the weight's type. An embedding's product is rounded to that type before it is added, and the sum again. With DoRA
(Liu et al., 2024) each output's weights are scaled to the trained length, and rounded once.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import FileIO
from itertools import pairwise

import torch

from studio.jobs.export.lora_weights import Pair
from studio.jobs.export.safetensors_file import rows

ROWS = 64
"""Fewest rows of a product at a time. A float32 product over at least so many rows adds up in the order that the whole
product does (measured over 900 shapes up to 5632 x 5632, ranks to 500, one thread and two); over a single row not."""
BLOCK_ELEMENTS = 1 << 17
"""Weights computed at a time: 512 KiB in float32, which stays in the processor's cache (measured: 2^16 to 2^20)."""


@dataclass(frozen=True, slots=True)
class Change:
    """A pair read into memory, for a weight stored as (out, in), or (in, out) when ``transposed``."""

    a: torch.Tensor
    b: torch.Tensor
    scale: float
    transposed: bool
    embedding: bool
    magnitude: torch.Tensor | None

    @property
    def is_whole(self) -> bool:
        """Whether the sum needs every row at once: lengths across rows, or a float64 product, whose order varies."""
        return self.a.dtype is torch.float64 or (self.magnitude is not None and self.transposed)


def inner(dtype: torch.dtype) -> torch.dtype:
    """What sums for a weight of this type are made in."""
    return torch.float64 if dtype is torch.float64 else torch.float32


def read(adapter: FileIO, pair: Pair, dtype: torch.dtype, transposed: bool) -> Change:
    """The matrices of ``pair`` for a weight of type ``dtype``."""
    magnitude = rows(adapter, pair.magnitude).to(inner(dtype)) if pair.magnitude else None
    a, b = (rows(adapter, side).to(inner(dtype)) for side in (pair.a, pair.b))
    return Change(a, b, pair.scale, transposed or pair.embedding, pair.embedding, magnitude)


def blocks(count: int, columns: int, change: Change | None, multiple: int = 1) -> list[tuple[int, int]]:
    """First row and end of each block of ``count`` rows; the last one takes in a rest that would be too short.

    Every first row is a multiple of ``multiple``.
    """
    if change is not None and change.is_whole:
        return [(0, count)]
    step = -(-max(ROWS, BLOCK_ELEMENTS // max(1, columns)) // multiple) * multiple
    cuts = list(range(0, count, step))
    if len(cuts) > 1 and count - cuts[-1] < ROWS:
        cuts.pop()
    return list(pairwise([*cuts, count]))


def add(block: torch.Tensor, change: Change, start: int) -> None:
    """Change the rows of a weight from ``start`` on, in place."""
    delta = _delta(change, start, start + len(block))
    if change.magnitude is not None:
        block.copy_(_stretched(block, delta, change, start))
    elif change.embedding:
        block.add_(delta.to(block.dtype))
    else:
        block.copy_(delta.add_(block.to(delta.dtype)))  # faster than a sum of two types, and the same


def _delta(change: Change, start: int, end: int) -> torch.Tensor:
    if change.transposed:
        return (change.b @ change.a[:, start:end]).T.mul_(change.scale)
    return (change.b[start:end] @ change.a).mul_(change.scale)


def _stretched(block: torch.Tensor, delta: torch.Tensor, change: Change, start: int) -> torch.Tensor:
    """DoRA's weights. Lengths are summed over the layout that PEFT sums them over: the order decides the last bits."""
    if change.magnitude is None:
        raise TypeError("without a magnitude it is not DoRA")
    if change.transposed:
        lengths = torch.linalg.norm(block.T + delta.T, dim=1)
        return (change.magnitude / lengths).view(1, -1) * (block + delta)
    total = delta.add_(block)
    lengths = torch.linalg.norm(total, dim=1)
    return (change.magnitude[start : start + len(block)] / lengths).view(-1, 1) * total
