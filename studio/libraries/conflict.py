"""A setting that does not go with others of its configuration, and how one is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Values = Mapping[str, Any]
LIMIT = 1e15
"""No setting is larger, and floats hold whole numbers below it exactly."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """The key at fault, what is wrong with it, and what to do."""

    key: str
    message: str
    hint: str


Finder = Callable[[Values], Iterator[Conflict]]


def on(value: Any) -> bool:
    """Whether a setting says something: nothing, false and zero do not."""
    return value not in (None, False, 0, "", "no")


def number(value: Any, default: float) -> float:
    """``value`` when it is a number that one can count with, else what is in force in its place."""
    counts = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LIMIT
    return value if counts else default


def exclusive(*pairs: tuple[str, str]) -> Finder:
    """Pairs of which only one may be on."""

    def find(values: Values) -> Iterator[Conflict]:
        for first, second in pairs:
            if on(values.get(first)) and on(values.get(second)):
                yield Conflict(
                    second, f"{second} and {first} exclude each other", f"remove one of {first} and {second}"
                )

    return find


def idle_unless(line: str, holds: Callable[[Values], bool], *keys: str) -> Finder:
    """Keys that do nothing unless ``holds``; ``line`` is what to write to make it so."""

    def find(values: Values) -> Iterator[Conflict]:
        given = [key for key in keys if values.get(key) not in (None, False, "")]
        if given and not holds(values):
            for key in given:
                yield Conflict(key, f"{key} has no effect without {line}", f"write {line}, or remove {key}")

    return find
