"""Numbers that JSON lacks. A loss may become infinite, or no number at all, and Python writes both as words that no
other reader of JSON takes."""

from __future__ import annotations

import json
import math
from typing import Any

from studio.core.findings import Path, format_path

WORDS = "not_finite"
"""Key beside the content that says what stands where null is written."""


def finite(content: Any) -> Any:
    """The content with null in place of numbers that are not finite. The outermost mapping around them says at which
    path each was, and whether it was ``nan``, ``inf`` or ``-inf``; content without any is given back as it is."""
    if isinstance(content, list | tuple):
        return [finite(each) for each in content]
    if not isinstance(content, dict):
        return None if _lacks(content) else content
    words: dict[str, str] = {}
    found = _without(content, (), words)
    return {**found, WORDS: words} if words else content


def _without(value: Any, path: Path, words: dict[str, str]) -> Any:
    if _lacks(value):
        words[format_path(path)] = str(value)
        return None
    if isinstance(value, dict):
        return {key: _without(held, (*path, str(key)), words) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_without(held, (*path, index), words) for index, held in enumerate(value)]
    return value


def _lacks(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def refusal(error: ValueError | RecursionError) -> str:
    """Why Python's reader refused a text as JSON, in words of the text and not of Python."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return str(error) if isinstance(error, json.JSONDecodeError | UnicodeError) else "a number has too many digits"
