"""A sweep's trials, as their jobs are told of it, and as the sweep remembers them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from studio.core.record import Record


class TrialOf(Record):
    """Which sweep a training belongs to, and with which values; for people who compare runs."""

    sweep: str
    values: dict[str, Any]
    """By key of the sweep's matrix."""


class TrialOutput(Record):
    """What a sweep knows of one of its trials: its values by key of the matrix, what it made and measured."""

    name: str
    fingerprint: str
    values: dict[str, Any]
    digest: str
    metrics: dict[str, float]


class SweepOutput(Record):
    """How a sweep chose. ``best`` is the name that the trial had then; its fingerprint stays the same."""

    metric: str
    mode: Literal["min", "max"]
    best: str
    fingerprint: str
    trials: tuple[TrialOutput, ...]


def best(measured: Mapping[str, Mapping[str, float]], metric: str, *, lowest: bool) -> str | None:
    """The name with the best number of a metric; of equal ones the first by name. What is no finite number never wins:
    None where nothing is one."""
    numbers = {name: metrics.get(metric, math.nan) for name, metrics in measured.items()}
    able: Iterable[str] = (name for name, number in numbers.items() if math.isfinite(number))
    return min(able, key=lambda name: (numbers[name] if lowest else -numbers[name], name), default=None)
