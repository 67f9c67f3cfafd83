"""Rows of local files, evenly spread where there are many, and what their columns hold."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from studio.core import rowfiles
from studio.core.rowfiles import RowsError
from studio.core.templates import Template

MOST_ROWS = 20_000
"""Rows that are looked at one by one; of more, every n-th."""
MOST_HASHED = 1_000_000
"""Rows among which repetitions are searched: 64 MB of memory."""
MARGIN = 16
"""Tokens that a tokenizer may put around a text."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a data set with their numbers, counted from 0, and how many there are in all."""

    numbers: range
    rows: tuple[Mapping[str, Any], ...]
    total: int


@dataclass(frozen=True, slots=True)
class Column:
    """``most`` bounds the tokens of a value; ``empty`` counts values without text, ``different`` values that differ."""

    most: int
    empty: int
    different: int


@dataclass(frozen=True, slots=True)
class Profile:
    """What the columns hold, in ``measured`` of ``total`` rows; ``repeated`` of them equal an earlier row."""

    measured: int
    total: int
    columns: Mapping[str, Column]
    repeated: int
    hashed: int

    def most(self, template: Template) -> int:
        """A bound on the tokens of the template filled from any measured row."""
        return sum(self.columns[name].most for name in template.fields) + sum(map(most_tokens, template.texts)) + MARGIN


def spread(total: int, most: int = MOST_ROWS) -> range:
    """At most ``most`` row numbers, evenly spread from the first one."""
    return range(0, total, max(1, math.ceil(total / most)))


def read(path: Path, total: int) -> Rows | None:
    """Rows of a file that was observed with ``total`` rows; None when it changed into one that cannot be read."""
    numbers = spread(total)
    try:
        rows = tuple(islice(rowfiles.rows(path, path.name), 0, total, numbers.step))
    except (RowsError, OSError):
        return None
    return Rows(numbers[: len(rows)], rows, total)


@lru_cache(maxsize=4096)
def profile(path: Path, digest: str, total: int) -> Profile | None:
    """Columns of a file that was observed; ``digest`` is its content. None when it can no longer be read."""
    step = spread(total).step
    kept: list[Mapping[str, Any]] = []
    seen: set[int] = set()
    repeated = hashed = 0
    try:
        for number, row in enumerate(rowfiles.rows(path, path.name)):
            if number % step == 0:
                kept.append(row)
            if number < MOST_HASHED:
                hashed += 1
                before = len(seen)
                seen.add(_hash(row))
                repeated += len(seen) == before
    except (RowsError, OSError):
        return None
    names = kept[0] if kept else {}
    columns = {name: _column([row.get(name) for row in kept]) for name in names}
    return Profile(len(kept), total, columns, repeated, hashed)


def most_tokens(text: str) -> int:
    """A bound on the tokens of a text: every tokenizer makes at most one of each byte, after normalisation."""
    if text.isascii():
        return len(text)
    return max(len(form.encode("utf-8", "replace")) for form in (text, unicodedata.normalize("NFKD", text)))


def _column(values: list[Any]) -> Column:
    texts = ["" if value is None else str(value) for value in values]
    return Column(
        most=max(map(most_tokens, texts)),
        empty=sum(not text.strip() for text in texts),
        different=len(set(texts)),
    )


def _hash(row: Mapping[str, Any]) -> int:
    values = tuple(row.values())
    try:
        return hash(values)
    except TypeError:  # a list or an object within the row
        return hash(repr(values))
