"""Which rows train and which are held out, as indices: pure, so that training and evaluation agree.

The permutations are those of ``datasets.Dataset.shuffle(seed)`` and ``train_test_split(train_size, seed)``
(datasets 5.2, arrow_dataset.py), so the rows are the ones the guide's sample_and_split_dataset() picks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studio.core.errors import JobError
from studio.core.jobspec import Split
from studio.core.splits import sampled, sizes

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Partition:
    """Row numbers of the ``train`` split, in training order; ``held_out`` is empty when the share is 1.0."""

    train: Indices
    held_out: Indices


def sample(rows: int, fraction: float, seed: int) -> Indices:
    """A share of ``rows`` in shuffled order; all of them, in order, when ``fraction`` is 1.0."""
    if fraction >= 1.0:
        return np.arange(rows)
    return np.random.default_rng(seed).permutation(rows)[: sampled(rows, fraction)]


def partition(rows: int, split: Split) -> Partition:
    """Sample, then split; raises JobError when a side would be empty."""
    parts = sizes(rows, split.fraction, split.train)
    if not parts.train or (split.train < 1.0 and not parts.held_out):
        raise too_small(rows, split, "no row is left to train on" if not parts.train else "no row is held out")
    kept = sample(rows, split.fraction, split.seed)
    if split.train >= 1.0:
        return Partition(kept, kept[:0])
    order = np.random.default_rng(split.seed).permutation(len(kept))
    return Partition(kept[order[parts.held_out :]], kept[order[: parts.held_out]])


def too_small(rows: int, split: Split, what: str) -> JobError:
    """The error for a split that leaves a side empty."""
    return JobError(
        f"{rows} rows, of which {split.fraction:g} are used and {split.train:g} of these train: {what}",
        "use more rows, or change dataset_fraction or train_test_split (1.0 holds nothing out)",
    )
