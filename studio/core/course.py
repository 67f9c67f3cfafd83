"""The course of a training: what it told of itself, step by step, so that it can be drawn."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from pydantic import Field

from studio.core.event import Event
from studio.core.record import Record

SERIES = ("loss", "eval_loss", "learning_rate", "gradient_norm", "tokens_per_second", "memory_bytes",
          "gpu_memory_bytes")  # fmt: skip
"""Fields of an event that are curves, in the order in which they are shown."""
PHASES = frozenset({"train", "evaluate"})
"""Those whose steps are optimizer steps."""
KEPT = 100
"""Points of each curve that a record keeps."""

Point = dict[str, float]


class Course(Record):
    """Curves by optimizer step. None where nothing was said; a curve of which nothing was said at all is not there."""

    steps: tuple[int, ...] = ()
    curves: dict[str, tuple[float | None, ...]] = Field(default_factory=dict)

    def points(self, name: str) -> list[tuple[int, float]]:
        """The steps and values of one curve."""
        values = self.curves.get(name, ())
        return [(step, value) for step, value in zip(self.steps, values, strict=False) if value is not None]


def of(events: Iterable[Event]) -> Course:
    """What all attempts of a job told. One that went on at an earlier step did the steps after it again, and what it
    told of them counts."""
    points: dict[int, Point] = {}
    for event in events:
        if event.step is None or event.phase not in PHASES:
            continue
        for late in _later(points, event.step):
            del points[late]
        values = {name: value for name in SERIES if _is_told(value := getattr(event, name))}
        if values:
            points.setdefault(event.step, {}).update(values)
    return _columns(points)


def thinned(course: Course, count: int = KEPT) -> Course:
    """About as many points of each curve as asked, evenly spread, with its first, last, lowest and highest: real ones,
    not means of several."""
    chosen = {position for name in course.curves for position in _telling(course.curves[name], count)}
    places = sorted(chosen)
    curves = {name: tuple(values[place] for place in places) for name, values in course.curves.items()}
    return Course(steps=tuple(course.steps[place] for place in places), curves=curves)


def _later(points: dict[int, Point], step: int) -> list[int]:
    """Steps beyond one; they were told in order, so the last one says whether there are any."""
    if not points or next(reversed(points)) <= step:
        return []
    return [each for each in points if each > step]


def _is_told(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _columns(points: dict[int, Point]) -> Course:
    told = [name for name in SERIES if any(name in point for point in points.values())]
    return Course(
        steps=tuple(points), curves={name: tuple(point.get(name) for point in points.values()) for name in told}
    )


def _telling(values: Sequence[float | None], count: int) -> Iterator[int]:
    there = [(value, position) for position, value in enumerate(values) if value is not None]
    last = len(there) - 1
    wanted = min(count, len(there))
    for number in range(wanted):
        yield there[round(number * last / max(wanted - 1, 1))][1]
    if there:
        yield min(there)[1]
        yield max(there)[1]
