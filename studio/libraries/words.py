"""What a library takes, and what to write instead, in words."""

from __future__ import annotations

import json
from typing import Any

from studio.core.suggest import nearest
from studio.libraries.fitting import is_infinite, misfits
from studio.libraries.lenient import as_pydantic_reads
from studio.libraries.types import AnyOf, Choice, Items, Leaf, Record, Type

NAMES = {
    "any": "anything",
    "null": "null",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
}
SHOWN = 12
"""Choices that a message lists at most."""


def written(value: Any) -> str:
    """A value as one writes it in a manifest, in at most 60 characters."""
    if is_infinite(value):
        return ".nan" if value != value else ".inf" if value > 0 else "-.inf"
    text = json.dumps(value, ensure_ascii=False, default=str) if not isinstance(value, str) else f"'{value}'"
    return text if len(text) <= 60 else text[:57] + "…"


def expected(type: Type) -> str:
    """What fits a type."""
    match type:
        case Leaf():
            return _leaf(type)
        case Choice(values):
            return one_of(values)
        case Items(item, places):
            return f"a list of {len(places)} values" if places else _list_of(item)
        case Record():
            return "a mapping"
        case AnyOf(options):
            named = [expected(option) for option in options if option != Leaf("null")]
            return " or ".join(dict.fromkeys(named)) or "null"


def wanted(value: Any, type: Type) -> str:
    """What must stand in the place of ``value``, which does not fit."""
    return expected(type).replace("a number", "a finite number", 1) if is_infinite(value) else expected(type)


def one_of(values: tuple[Any, ...]) -> str:
    """A list of choices, cut when it is long."""
    names = [value if isinstance(value, str) else json.dumps(value) for value in values]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    listed = ", ".join(names[:SHOWN])
    return f"one of {listed}{more}" if len(names) > 1 else listed


def _leaf(type: Leaf) -> str:
    if type.strict_float:
        what = "a number with a decimal point"
    elif type.json:
        what = "the text of a JSON object" if type.pattern else "text"
    else:
        what = NAMES[type.name]
    limits = (
        ("of at least", type.least), ("above", type.above), ("of at most", type.most), ("below", type.below)
    )  # fmt: skip
    said = [f"{words} {_exactly(limit)}" for words, limit in limits if limit is not None]
    if type.name == "string" and type.pattern and not type.json:
        said.append(f"that matches {type.pattern}")
    return " ".join([what, " and ".join(said)]).strip()


def _list_of(item: Type) -> str:
    match item:
        case Leaf("any"):
            return "a list"
        case Leaf("string"):
            return "a list of texts"
        case Leaf("integer"):
            return "a list of whole numbers"
        case Leaf("number"):
            return "a list of numbers"
        case Record():
            return "a list of mappings"
        case _:
            return f"a list, each item {expected(item)}"


def _exactly(limit: float) -> str:
    return f"{limit:,}" if isinstance(limit, int) else f"{limit:g}"


def instead(value: Any, type: Type, default: Any) -> str:
    """What to write instead of a value that does not fit: a form of it that does, the nearest choice, the default."""
    for form in _forms(value):
        if not any(misfits(form, type)):
            return f"write {plainly(form)}" + (" without quotes" if _was_quoted(value, form) else "")
    choices = [each for each in _choices(type) if isinstance(each, str)]
    near = _near(value, choices) if isinstance(value, str) and value else None
    if near:
        return f"did you mean {near!r}?"
    if value is None:
        return "remove the key" + (f"; the library's default is {written(default)}" if default is not None else "")
    if len(choices) > SHOWN:
        return f"known: {', '.join(choices)}"
    if default is not None:
        return f"the library's default is {written(default)}"
    return f"write {expected(type)}, or remove the key"


def _was_quoted(value: Any, form: Any) -> bool:
    """Whether text must have stood in quotes: YAML would have read the form that is suggested. ``yes``, ``on`` and
    ``None`` are text without quotes too."""
    if not isinstance(value, str) or isinstance(form, str | list):
        return False
    return "_" not in value if type(form) in (int, float) else value.strip().lower() == plainly(form)


def _near(word: str, choices: list[str]) -> str | None:
    """The first choice that begins with the word, else the one most like it."""
    return next((each for each in choices if each.startswith(word)), None) or nearest(word, choices)


def _forms(value: Any) -> list[Any]:
    """The same thing said in another type."""
    match value:
        case str():
            text = value.strip()
            read = [as_pydantic_reads(text, name) for name in ("boolean", "integer", "number")]
            folded = [text.lower(), text.lower().replace("-", "_"), text.removeprefix("torch.")]
            return [*read, *folded, *([None] if text.lower() in ("none", "null", "~", "") else []), [value]]
        case bool():
            return ["no" if not value else "yes", str(value).lower(), [value]]
        case int():
            return [float(value), str(value), [value]] if abs(value) < 1 << 53 else [str(value)]
        case float():
            return [*([int(value)] if value.is_integer() else []), str(value), [value]]
        case [only]:
            return [only]
        case _:
            return []


def plainly(value: Any) -> str:
    """A value to copy. Text that YAML might read as something else is quoted."""
    if isinstance(value, str):
        plain = value.replace("_", "").replace("-", "").isalpha() and value.lower() not in (
            "no",
            "yes",
            "true",
            "false",
        )
        return value if plain else f"'{value}'"
    return json.dumps(value, ensure_ascii=False)


def _choices(type: Type) -> list[Any]:
    match type:
        case Choice(values):
            return list(values)
        case AnyOf(options):
            return [each for option in options for each in _choices(option)]
        case _:
            return []
