"""YAML 1.2 core schema for plain scalars, with the same answers as the fast parser gives."""

from __future__ import annotations

import math
import re

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_DECIMAL = re.compile(r"[-+]?(?:0|[1-9][0-9]*)\Z")
_BASED = re.compile(r"([-+]?)0([xob])([0-9a-fA-F]+)\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_SPECIAL = re.compile(r"([-+]?)\.(?:inf|Inf|INF)\Z")
_NAN = frozenset({".nan", ".NaN", ".NAN"})
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+\Z")
_BASES = {"x": 16, "o": 8, "b": 2}
_INTEGERS = range(-(1 << 127), 1 << 128)
"""What the fast parser takes for a whole number."""
_DIGITS = 40
"""No number of that range has more decimal digits and sign."""


def resolve(text: str) -> bool | int | float | str | None:
    """The value of a plain (unquoted, untagged) scalar."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if len(text) <= _DIGITS and _DECIMAL.match(text) and int(text) in _INTEGERS:
        return int(text)
    based = _BASED.match(text)
    if based:
        return _based(based, text)
    if _FLOAT.match(text) and not _LEADING_ZERO.match(text):
        value = float(text)
        return value if math.isfinite(value) else text
    special = _SPECIAL.match(text)
    if special:
        return -math.inf if special.group(1) == "-" else math.inf
    return math.nan if text in _NAN else text


def _based(match: re.Match[str], text: str) -> int | str:
    sign, base, digits = match.groups()
    try:
        value = int(sign + digits, _BASES[base])
    except ValueError:
        return text
    return value if value in _INTEGERS else text
