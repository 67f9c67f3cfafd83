"""What pydantic makes of a scalar where another type is expected (its conversion table, lax mode, Python input)."""

from __future__ import annotations

import re
from typing import Any

_INTEGER = re.compile(r"\s*[-+]?\d+(?:_\d+)*(?:\.0*)?\s*\Z")
_TRUE = frozenset({"1", "on", "t", "true", "y", "yes"})
_FALSE = frozenset({"0", "off", "f", "false", "n", "no"})


def as_pydantic_reads(value: Any, name: str) -> Any:
    """``value`` as the JSON type ``name`` when pydantic would convert it, else as it is."""
    match name, value:
        case "boolean", int() | float() | str():
            return _boolean(value)
        case "integer", bool():
            return int(value)
        case "integer", float() if value.is_integer():
            return int(value)
        case "integer", str() if _INTEGER.match(value) and len(value) < 4300:
            return int(value.strip().partition(".")[0])
        case "number", bool():
            return float(value)
        case "number", str():
            return _number(value)
        case _:
            return value


def _boolean(value: float | str) -> Any:
    if isinstance(value, str):
        word = value.lower()
        return True if word in _TRUE else False if word in _FALSE else value
    return bool(value) if value in (0, 1) else value


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text
