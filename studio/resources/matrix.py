"""A sweep's matrix: which combinations it has, and what each is called."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from math import isfinite, prod
from typing import Annotated, Any

from pydantic import Strict

from studio.core.fingerprints import canonical, digest
from studio.resources.base import OUTCOME, Part, field

MOST = 64
"""Trials of a sweep: each is a training, and a slip of the pen in a matrix should not start a thousand."""
LONGEST = 80
"""Letters of what a trial's name adds to that of its sweep."""
WHOLE = 15
"""Digits up to which a whole number is written out."""
DEFAULT_METRIC = "eval_loss"
LOWER, HIGHER = "min", "max"
METRICS: dict[str, str] = {
    "eval_loss": LOWER,
    "perplexity": LOWER,
    "train_loss": LOWER,
    "final_loss": LOWER,
    "train_seconds": LOWER,
    "tokens_per_second": HIGHER,
}
"""What a training reports that one may choose by, and which end is the better one."""
HELD_OUT = frozenset({"eval_loss", "perplexity"})
"""Those of rows that training did not see."""

Matrix = dict[str, Annotated[tuple[Any, ...], Strict(False)]]
"""Values by field, or by dotted path into a configuration."""
_PLAIN = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*\Z")
_WORDS = {"none", "true", "false"}


class Select(Part):
    """Which of a sweep's trials is the one whose adapter counts."""

    metric: str = field(OUTCOME, "What is compared: a metric that every trial reports.", DEFAULT_METRIC)
    mode: str | None = field(
        OUTCOME, "Which end is better; studio knows it of the metrics that it reports itself.", enum=[LOWER, HIGHER]
    )

    @property
    def better(self) -> str:
        """``min`` or ``max``."""
        return self.mode or METRICS.get(self.metric, LOWER)


@dataclass(frozen=True, slots=True)
class Point:
    """One combination: what the trial's name adds to that of its sweep, the values by key, and their places in the
    matrix."""

    slug: str
    values: dict[str, Any]
    places: dict[str, int]


def count(matrix: Mapping[str, Sequence[Any]]) -> int:
    """How many combinations there are."""
    return prod(len(values) for values in matrix.values()) if matrix else 0


def points(matrix: Mapping[str, Sequence[Any]]) -> Iterator[Point]:
    """Every combination, none twice, whatever the order of the keys; nothing of a matrix with too many."""
    if count(matrix) > MOST:
        return
    keys = sorted(matrix)
    labels = _labels(keys)
    seen = set()
    for places in product(*(range(len(matrix[key])) for key in keys)) if keys else ():
        values = {key: matrix[key][place] for key, place in zip(keys, places, strict=True)}
        slug = _shortened("-".join(f"{labels[key]}-{spelled(value)}" for key, value in values.items()), values)
        if slug not in seen:
            seen.add(slug)
            yield Point(slug, values, dict(zip(keys, places, strict=True)))


def spelled(value: Any) -> str:
    """A value as a name can hold it: numbers without a point, and what cannot be read back with a hash of it."""
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case int() | float():
            return _number(value)
        case str() if _PLAIN.match(value) and value not in _WORDS and len(value) <= LONGEST // 2:
            return value.replace("_", "-")
        case str():
            readable = re.sub(r"[^a-z0-9]+", "-", value.lower())[: LONGEST // 4].strip("-")
            return "-".join(filter(None, (readable, digest(value)[:6])))
        case dict() if 0 < len(value) <= 2 and all(isinstance(each, bool | int | float) for each in value.values()):
            return "-".join(f"{spelled(str(key))}-{spelled(each)}" for key, each in sorted(value.items()))
    return digest(canonical(value))[:8]


def step(key: str) -> list[str]:
    """A key of a matrix as the path that it is, from ``spec`` on."""
    return key.split(".")


def _number(value: float) -> str:
    """``8``, ``1e-4``, ``25e-1``: all its digits, and no point."""
    if not value:
        return "0"
    if isinstance(value, float) and not isfinite(value):
        return digest(str(value))[:6]
    sign, digits, exponent = Decimal(repr(value)).as_tuple() if isinstance(value, float) else _whole(value)
    text = "".join(map(str, digits)).lstrip("0") or "0"
    short = text.rstrip("0") or "0"
    power = int(exponent) + len(text) - len(short)
    plain = power >= 0 and len(short) + power <= WHOLE
    return "minus-" * sign + (f"{short}{'0' * power}" if plain else f"{short}e{power}")


def _whole(value: int) -> tuple[int, tuple[int, ...], int]:
    return int(value < 0), tuple(map(int, str(abs(value)))), 0


def _labels(keys: Sequence[str]) -> dict[str, str]:
    """Keys as names have them: the last step of a path, unless two keys end in the same."""
    last = [key.rpartition(".")[2] for key in keys]
    chosen = {key: key if last.count(end) > 1 else end for key, end in zip(keys, last, strict=True)}
    return {key: re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "key" for key, text in chosen.items()}


def _shortened(slug: str, values: Mapping[str, Any]) -> str:
    if len(slug) <= LONGEST:
        return slug
    return f"{slug[: LONGEST - 9].rstrip('-')}-{digest(canonical(dict(values)))[:8]}"
