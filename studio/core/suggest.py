"""The nearest known name, for messages that say what to do next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name closest to ``word``, or None when nothing is close."""
    by_fold = {name.lower(): str(name) for name in sorted(known)}
    matches = difflib.get_close_matches(word.lower(), by_fold, n=1, cutoff=0.6)
    return by_fold[matches[0]] if matches else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint: the nearest name, else the names there are."""
    names = sorted(map(str, known))
    match = nearest(word, names)
    if match:
        return f"did you mean {match!r}?"
    if not names:
        return "there is none to choose from yet"
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    return f"known: {shown}"
