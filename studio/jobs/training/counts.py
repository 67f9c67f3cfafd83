"""What trl made of the rows: which survive the limits, and how many of their tokens count for the loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from datasets import Dataset

from studio.core.errors import JobError
from studio.jobs.events import EventLog
from studio.jobs.model.scoring import IGNORED

LENGTHS = "seq_lengths"
"""Column of rows that hold several texts: how long each is (trl 1.16, pack_dataset)."""
SPLIT, WRAPPED = "bfd_split", "wrapped"
PACKINGS = {
    SPLIT: "; a text that is longer than max_length goes on in another row",
    WRAPPED: "; texts are cut wherever a row is full, and see those before them in it",
}
"""What a strategy of trl does to texts, where that is not to be expected."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Of ``rows`` trl made ``made``. ``dropped`` ones are gone, ``mute`` ones are there without anything that counts,
    ``cut`` ones lost their end; none of this is known of rows that were packed without regard to their borders.
    """

    rows: int
    made: int
    dropped: int
    mute: int
    cut: int
    tokens: int
    unmasked: int

    @property
    def share(self) -> float:
        """Of the tokens, those that count."""
        return self.unmasked / max(self.tokens, 1)


def count(prepared: Dataset, before: int, ends: frozenset[int], packing: str) -> Counts:
    """Count the rows and tokens of a dataset that trl prepared from ``before`` rows with a strategy of ``packing``, ""
    for none. Raises JobError when nothing is left to learn from. A row was cut when its last token is none of ``ends``.
    """
    if not len(prepared):
        raise _nothing_left(before)
    held = _Held.of(prepared)
    texts = held.texts()
    if not texts.any():
        raise _nothing_left(before)
    known = packing != WRAPPED
    return Counts(
        rows=before,
        made=len(prepared),
        dropped=before - len(texts) if known and packing != SPLIT else 0,
        mute=int((texts == 0).sum()) if known and packing != SPLIT else 0,
        cut=int((~np.isin(held.last(), list(ends))).sum()) if known else 0,
        tokens=len(held.labels),
        unmasked=int((held.labels != IGNORED).sum()),
    )


def learnable(prepared: Dataset) -> Dataset:
    """Without rows that teach nothing: packing keeps them, and a batch of such rows has no loss at all."""
    teaching = _Held.of(prepared).rows()
    return prepared if teaching.all() else prepared.select(np.flatnonzero(teaching))


def report(counts: Counts, packing: str, events: EventLog) -> None:
    """Say what was lost: trl drops and cuts in silence."""
    nothing = "max_length leaves nothing of their completion"
    if packing:
        events.write("data", f"packing ({packing}) made {counts.made} rows of {counts.rows}{PACKINGS.get(packing, '')}")
    if counts.dropped:
        events.write("data", f"{counts.dropped} rows dropped: {nothing}")
    if counts.mute:
        events.write("data", f"{counts.mute} rows teach nothing: {nothing}")
    if counts.cut:
        become = "go on in another row" if packing == SPLIT else "they do not teach the model to stop"
        events.write("data", f"{counts.cut} rows cut at max_length: {become}")
    events.write("data", f"{counts.tokens} tokens, {counts.share:.1%} of them count for the loss")


@dataclass(frozen=True, slots=True)
class _Held:
    """Tokens and labels of all rows, one after the other; where texts end, and where rows do."""

    ids: np.ndarray[Any, Any]
    labels: np.ndarray[Any, Any]
    text_ends: np.ndarray[Any, Any]
    row_ends: np.ndarray[Any, Any]

    @staticmethod
    def of(prepared: Dataset) -> _Held:
        table = prepared.with_format("arrow")[:]
        ids, labels = (table[name].combine_chunks() for name in ("input_ids", "labels"))
        row_ends = ids.value_lengths().to_numpy().cumsum()
        texts = table[LENGTHS].combine_chunks().flatten().to_numpy() if LENGTHS in table.column_names else None
        ends = row_ends if texts is None else texts.cumsum()
        return _Held(ids.flatten().to_numpy(), labels.flatten().to_numpy(), ends, row_ends)

    def last(self) -> np.ndarray[Any, Any]:
        """The last token of each text."""
        return self.ids[self.text_ends - 1]

    def texts(self) -> np.ndarray[Any, Any]:
        """How many tokens count in each text."""
        return self._counted(self.text_ends)

    def rows(self) -> np.ndarray[Any, Any]:
        """How many tokens count in each row."""
        return self._counted(self.row_ends)

    def _counted(self, ends: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        counts = self.labels != IGNORED
        counts[np.concatenate(([0], self.text_ends[:-1]))] = False  # the first token of a text is never foretold
        return np.add.reduceat(counts, np.concatenate(([0], ends[:-1])), dtype=np.int64)


def _nothing_left(before: int) -> JobError:
    return JobError(
        f"none of the {before} rows has a completion within max_length: nothing to learn from",
        "raise max_length in the training arguments, or shorten the input template",
    )
