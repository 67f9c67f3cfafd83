"""The batches that training will really see, looked at before its first step.

What rows hold says little of what reaches the model: collators pad, pack and mask. So the trainer's own loader and
collator make the first batches, and whatever would train on nothing, or on padding, ends the job while it is cheap.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from accelerate.data_loader import DataLoaderStateMixin
from trl import SFTTrainer

from studio.core.errors import JobError
from studio.jobs.events import EventLog
from studio.jobs.model.scoring import IGNORED
from studio.jobs.training import counts
from studio.jobs.training.corpus import Corpus
from studio.jobs.training.counts import Counts

Array = np.ndarray[Any, Any]
MOST = 64
"""Batches that are looked at; those after them are made of the same rows in the same way."""


@dataclass(slots=True)
class Seen:
    """Of the batches looked at: places, those that hold tokens, those that count, texts, and texts that end in a token
    which ends answers and counts."""

    batches: int = 0
    places: int = 0
    tokens: int = 0
    counted: int = 0
    texts: int = 0
    stopping: int = 0
    least: int | None = None
    """Tokens that count in the batch with the fewest."""

    def words(self) -> str:
        padding = 1 - self.tokens / max(self.places, 1)
        return (
            f"{self.batches} batches looked at: {self.counted / max(self.tokens, 1):.1%} of their tokens count, "
            f"at least {self.least} in each; {padding:.1%} of their places are padding; "
            f"{self.stopping} of {self.texts} texts teach the model to stop"
        )


def settle(trainer: SFTTrainer, texts: Corpus, events: EventLog) -> Counts:
    """Count what trl made of the rows, take out those that teach nothing, and look at the first batches. Raises
    JobError for a batch from which nothing can be learnt."""
    packing = str(trainer.args.packing_strategy) if trainer.args.packing else ""
    counted = counts.count(trainer.train_dataset, len(texts.train), texts.ends, packing)
    counts.report(counted, packing, events)
    trainer.train_dataset = counts.learnable(trainer.train_dataset)
    with _as_if_nothing_had_happened():
        loader = trainer.get_train_dataloader()
        seen = look(islice(loader, MOST), texts.ends)
        if isinstance(loader, DataLoaderStateMixin):
            loader.end()  # accelerate would take it for the one in use
    events.write("data", seen.words())
    return counted


def look(batches: Iterator[dict[str, Any]], ends: frozenset[int]) -> Seen:
    """Raises JobError for a batch without a token that counts, and for one that would learn its padding."""
    seen = Seen()
    for number, batch in enumerate(batches, 1):
        held, labels = _held(batch), batch["labels"].cpu().numpy()
        if (labels[~held] != IGNORED).any():
            raise JobError(f"batch {number} would learn its padding", "leave padding to the job: remove pad_token")
        starts = _starts(batch, held)
        foretold = (labels != IGNORED) & ~starts  # the first token of a text is never foretold
        if not foretold.any():
            raise JobError(
                f"no token of batch {number} counts for the loss: its {int(starts.sum())} texts show the model "
                f"something and teach it nothing (of {int(held.sum())} tokens, all are masked)",
                "raise max_length, or take the rows out whose answers do not fit",
            )
        _add(seen, batch["input_ids"].cpu().numpy(), labels, held, starts, int(foretold.sum()), ends)
    return seen


def _add(
    seen: Seen, ids: Array, labels: Array, held: Array, starts: Array, counted: int, ends: frozenset[int]
) -> None:  # fmt: skip
    following = np.concatenate((starts[:, 1:] | ~held[:, 1:], np.ones((len(ids), 1), dtype=bool)), axis=1)
    last = held & following
    seen.batches += 1
    seen.places += held.size
    seen.tokens += int(held.sum())
    seen.counted += int((labels != IGNORED).sum())
    seen.texts += int(starts.sum())
    seen.stopping += int((last & np.isin(ids, list(ends)) & (labels != IGNORED)).sum())
    seen.least = counted if seen.least is None else min(seen.least, counted)


def _held(batch: dict[str, Any]) -> Array:
    """Places that hold a token; without an attention mask (packed rows) all do."""
    mask = batch.get("attention_mask")
    found: Array = np.ones(batch["input_ids"].shape, dtype=bool) if mask is None else mask.cpu().numpy().astype(bool)
    return found


def _starts(batch: dict[str, Any], held: Array) -> Array:
    """Places where a text begins: where positions do, else the first of each row."""
    positions = batch.get("position_ids")
    if positions is not None:
        found: Array = (positions.cpu().numpy() == 0) & held
        return found
    first = np.zeros_like(held)
    first[np.arange(len(held)), held.argmax(axis=1)] = True
    return first & held


@contextmanager
def _as_if_nothing_had_happened() -> Iterator[None]:
    """Looking draws random numbers; training then draws the same ones, so that what was seen is what comes."""
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)
