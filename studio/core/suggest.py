"""The nearest known name, for messages that say what to do next."""

from __future__ import annotations

import difflib
import string
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

FEW = 200
"""Up to so many names are compared one by one; a comparison takes some ten microseconds."""
NEIGHBOURS = 20
"""Names before and after a word in the alphabet that are compared when there are more."""
LONGEST = 1_000
"""Letters of a word; the time of a comparison grows with their square."""
SHOWN = 8
_AS_HYPHENS = str.maketrans("_. /", "----")
"""What stands between the parts of a name."""
_LETTERS = string.ascii_lowercase + string.digits + "-_."


@dataclass(frozen=True, slots=True)
class _Names:
    """Sorted names, and by their lower-case forms in the order of these."""

    names: tuple[str, ...]
    by_fold: dict[str, str]
    folds: tuple[str, ...]


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name closest to ``word``, or None when nothing is close.

    Among many names only those one slip away and those beside it in the alphabet are looked at, so that thousands of
    wrong references cost seconds and not hours. Nobody misspells a name of a thousand letters.
    """
    if len(word) > LONGEST:
        return None
    return _nearest(word.lower(), known if isinstance(known, tuple) else tuple(known))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint: the nearest name, else the names there are."""
    known = known if isinstance(known, tuple) else tuple(known)
    match = nearest(word, known)
    if match:
        return f"did you mean {match!r}?"
    names = [name for name in _sorted(known).names if name]
    if not names:
        return "there is none to choose from yet"
    few = names if len(names) <= SHOWN + 2 else names[:SHOWN]  # "and 1 more" is no shorter than the one
    return f"known: {', '.join(few)}" + (f" and {len(names) - len(few)} more" if few is not names else "")


@lru_cache(maxsize=16)
def _sorted(known: tuple[str, ...]) -> _Names:
    names = tuple(sorted(map(str, known)))
    by_fold = {name.lower(): name for name in names}
    return _Names(names, by_fold, tuple(sorted(by_fold)))


@lru_cache(maxsize=1024)
def _nearest(word: str, known: tuple[str, ...]) -> str | None:
    found = _sorted(known)
    close = found.folds if len(found.folds) <= FEW else _close(word, found)
    matches = difflib.get_close_matches(word, close, n=1, cutoff=0.6)
    if not matches and len(word) >= 3:  # "csv" for "project_csv"
        holding = [name for name in close if _names_a_part(word, name)]
        matches = holding if len(holding) == 1 else []
    return found.by_fold[matches[0]] if matches else None


def _names_a_part(word: str, name: str) -> bool:
    """Whether ``word`` is one or several whole parts of a name, or most of it from its beginning on."""
    parts = f"-{name}-".translate(_AS_HYPHENS)
    return f"-{word.translate(_AS_HYPHENS)}-" in parts or (name.startswith(word) and 2 * len(word) >= len(name))


def _close(word: str, known: _Names) -> list[str]:
    """The word itself, else names that differ in one slip, else the neighbours in the alphabet."""
    if word in known.by_fold:
        return [word]
    slips = sorted({slip for slip in _slips(word[:100]) if slip in known.by_fold})
    place = bisect_left(known.folds, word)
    return slips or list(known.folds[max(0, place - NEIGHBOURS) : place + NEIGHBOURS])


def _slips(word: str) -> Iterator[str]:
    """What one slip makes of a word: a letter lost, doubled or exchanged, or two swapped."""
    for place in range(len(word) + 1):
        head, tail = word[:place], word[place:]
        yield from (head + letter + tail for letter in _LETTERS)
        if tail:
            yield head + tail[1:]
            yield from (head + letter + tail[1:] for letter in _LETTERS)
        if len(tail) > 1:
            yield head + tail[1] + tail[0] + tail[2:]
