"""What the hub and the registry answered, kept for the commands that come within minutes.

Kept in the user's cache folder by who was asked and whether a token went along, never by the token. What is there is
believed for ten minutes, what is not there for half a minute, because somebody may be about to make it; that nobody
answered, or wanted a token, is never kept. A kept answer that is damaged, too old or from the future is none.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from studio.load import cache
from studio.load.cache import Place

FORMAT = 1
THERE_SECONDS, ABSENT_SECONDS = 600.0, 30.0
MAX_ANSWERS, MAX_LETTERS = 2_000, 20_000
"""Kept of one server, the latest; and the length of one. What is longer is asked for each time."""

_ANEW: ContextVar[bool] = ContextVar("anew", default=False)


@contextmanager
def anew() -> Iterator[None]:
    """Whoever is asked within is asked again, whatever was kept; the answers are kept for others."""
    token = _ANEW.set(True)
    try:
        yield
    finally:
        _ANEW.reset(token)


@dataclass(slots=True)
class Answers:
    """Plain JSON by question. ``place`` is where they outlive the command; ``anew``: none of an earlier one counts."""

    place: Place | None = None
    anew: bool = False
    clock: Callable[[], float] = time.time
    known: dict[str, tuple[float, bool, Any]] = field(default_factory=dict)
    """When it was answered, whether it is there, and the answer."""
    grown: bool = False
    _loaded: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def recall(self, question: tuple[str, ...]) -> Any:
        """The answer that still counts; None for none."""
        with self._lock:
            if not self._loaded:
                self._loaded = True
                self.known = {} if self.anew else self._left_by_others()
            found = self.known.get(json.dumps(question))
        return found[2] if found else None

    def keep(self, question: tuple[str, ...], answer: Any, *, there: bool) -> None:
        if len(json.dumps(answer)) <= MAX_LETTERS:
            with self._lock:
                self.known[json.dumps(question)] = (self.clock(), there, answer)
                self.grown = True

    def save(self) -> None:
        """Leave them to later commands, with what others left meanwhile."""
        with self._lock:
            if not (self.place and self.grown):
                return
            latest_last = sorted((self._left_by_others() | self.known).items(), key=lambda item: item[1][0])
            self.place.write({"answers": [[asked, *kept] for asked, kept in latest_last[-MAX_ANSWERS:]]})
            self.grown = False

    def _left_by_others(self) -> dict[str, tuple[float, bool, Any]]:
        try:
            content = self.place.read() if self.place else None
            return {asked: (at, there, answer) for asked, at, there, answer in self._good(content)} if content else {}
        except cache.DAMAGED:
            return {}

    def _good(self, content: Mapping[str, Any]) -> Iterator[tuple[str, float, bool, Any]]:
        for asked, at, there, answer in content["answers"][-MAX_ANSWERS:]:
            age = self.clock() - float(at)
            if isinstance(asked, str) and 0 <= age <= (THERE_SECONDS if there is True else ABSENT_SECONDS):
                yield asked, float(at), there is True, answer


def kept(root: Path, environ: Mapping[str, str], endpoint: str, *, with_token: bool) -> Answers:
    """What a server answered about a project lately; nothing of it within ``anew``."""
    return Answers(cache.place("answers", root, environ, FORMAT, endpoint, int(with_token)), anew=_ANEW.get())
