"""Does a value fit what a library takes, and if not, where and why."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any

from studio.libraries.lenient import as_pydantic_reads
from studio.libraries.types import ANY, AnyOf, Choice, Items, Leaf, Record, Type

Path = tuple[str | int, ...]
LARGEST = 2**32 - 1
"""Of whole numbers: the largest seed that NumPy takes. No count of rows, tokens, steps or ranks comes near it."""


class Fault(Enum):
    """How a value fails to fit."""

    UNKNOWN_KEY = auto()
    MISSING_KEY = auto()
    WRONG_TYPE = auto()
    NOT_TAKEN = auto()
    """The right type, but not one of the values that are taken."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """One place where a value does not fit. ``type`` is what would, or the mapping that lacks the key."""

    path: Path
    fault: Fault
    value: Any
    type: Type


def misfits(value: Any, type: Type, lenient: bool = False, path: Path = ()) -> Iterator[Misfit]:
    """All places where ``value`` does not fit ``type``; none means that the library takes it."""
    number = _number(type) if _is_huge(value) else None
    if number:
        yield Misfit(path, Fault.NOT_TAKEN, value, number)
        return
    meant = _meant(type)
    if meant and (is_infinite(value) or (isinstance(value, str) and not _reads_as_finite(value))):
        yield Misfit(path, Fault.NOT_TAKEN, value, meant)
        return
    match type:
        case Leaf():
            yield from _leaf(value, type, lenient, path)
        case Choice(values):
            if not any(_same(value, each) for each in values):
                known = any(_shape(value) == _shape(each) for each in values)
                yield Misfit(path, Fault.NOT_TAKEN if known else Fault.WRONG_TYPE, value, type)
        case Items():
            yield from _items(value, type, lenient, path)
        case Record():
            yield from _record(value, type, lenient, path)
        case AnyOf(options):
            yield from _any_of(value, type, [list(misfits(value, each, lenient, path)) for each in options], path)


def _is_huge(value: Any) -> bool:
    return isinstance(value, int) and value > LARGEST


def is_infinite(value: Any) -> bool:
    """Whether a value is a number to YAML, and none that can be computed with."""
    return isinstance(value, float) and not math.isfinite(value)


def _meant(type: Type) -> Leaf | None:
    """The number where any text is taken in its place: libraries read it as a number later."""
    options = type.options if isinstance(type, AnyOf) else ()
    number = next((each for each in options if isinstance(each, Leaf) and each.name == "number"), None)
    return number if Leaf("string") in options else None


def _reads_as_finite(text: str) -> bool:
    read = as_pydantic_reads(text, "number")
    return isinstance(read, float) and math.isfinite(read)


def _number(type: Type) -> Leaf | None:
    """The number that a type takes, with the limit that no table has."""
    options = type.options if isinstance(type, AnyOf) else (type,)
    numbers = (each for each in options if isinstance(each, Leaf) and each.name in ("integer", "number"))
    return next((replace(each, most=each.most or LARGEST) for each in numbers), None)


def _leaf(value: Any, type: Leaf, lenient: bool, path: Path) -> Iterator[Misfit]:
    read = as_pydantic_reads(value, type.name) if lenient else value
    if not _is(read, type):
        yield Misfit(path, Fault.WRONG_TYPE, value, type)
    elif not _within(read, type):
        yield Misfit(path, Fault.NOT_TAKEN, value, type)


def _is(value: Any, type: Leaf) -> bool:
    match type.name:
        case "any":
            return True
        case "number":
            right = float if type.strict_float else int | float
            return isinstance(value, right) and not isinstance(value, bool)
        case _:
            return _shape(value) == type.name


def _within(value: Any, type: Leaf) -> bool:
    if isinstance(value, str):
        return re.search(type.pattern, value) is not None and not (type.json and _broken_json(value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return True
    return (
        not is_infinite(value)
        and (type.least is None or value >= type.least)
        and (type.above is None or value > type.above)
        and (type.most is None or value <= type.most)
        and (type.below is None or value < type.below)
    )


def _broken_json(text: str) -> bool:
    """Whether text in braces, which the library would read as JSON, is none."""
    if not text.startswith("{"):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return True
    return False


def _items(value: Any, type: Items, lenient: bool, path: Path) -> Iterator[Misfit]:
    if not isinstance(value, list):
        yield Misfit(path, Fault.WRONG_TYPE, value, type)
    elif len(value) < type.least or (type.most is not None and len(value) > type.most):
        yield Misfit(path, Fault.NOT_TAKEN, value, type)
    else:
        for index, each in enumerate(value):
            expected = type.places[index] if index < len(type.places) else type.item
            yield from misfits(each, expected, lenient, (*path, index))


def _record(value: Any, type: Record, lenient: bool, path: Path) -> Iterator[Misfit]:
    if not isinstance(value, dict):
        yield Misfit(path, Fault.WRONG_TYPE, value, type)
        return
    for name, held in value.items():
        key = type.keys.get(name)
        if key:
            yield from misfits(held, key.type, lenient, (*path, name))
        elif type.rest is None:
            yield Misfit((*path, name), Fault.UNKNOWN_KEY, held, type)
        elif type.rest != ANY:
            yield from misfits(held, type.rest, lenient, (*path, name))
    for name in type.required:
        if name not in value:
            yield Misfit((*path, name), Fault.MISSING_KEY, value, type)


def _any_of(value: Any, type: AnyOf, tried: list[list[Misfit]], path: Path) -> Iterator[Misfit]:
    """The misfits of the option that comes closest: one that fits but for its keys, or one of the value's shape."""
    for found in sorted(tried, key=len):
        if all(each.fault is Fault.UNKNOWN_KEY for each in found):
            yield from found
            return
    if isinstance(value, dict | list):
        deeper = [found for found in tried if not any(each.path == path for each in found)]
        if deeper:
            yield from min(deeper, key=len)
            return
    known = any(each.path == path and each.fault is Fault.NOT_TAKEN for found in tried for each in found)
    yield Misfit(path, Fault.NOT_TAKEN if known else Fault.WRONG_TYPE, value, type)


def _shape(value: Any) -> str:
    """The JSON name of a value's type."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def _same(value: Any, choice: Any) -> bool:
    """Equal, and not only because True equals 1."""
    return bool(value == choice) and isinstance(value, bool) == isinstance(choice, bool)
