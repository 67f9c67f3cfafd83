"""How long to go on asking who does not answer: growing pauses, and an end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from studio.core.errors import BackendError, RefusedError

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
DEADLINE_SECONDS = 300.0
"""A workspace that restarts is back by then; a pipeline that waits for one that is gone should end."""
FEWEST = 5
"""Silences before the end: a laptop that slept for an hour has not waited for an hour."""


@dataclass(slots=True)
class Patience:
    """With one correspondent. ``clock`` is in seconds; ``since`` is the first silence after the last answer."""

    clock: Callable[[], float]
    since: float | None = None
    _silences: int = 0
    _pause: float = FIRST_PAUSE_SECONDS
    _next: float = 0.0

    @property
    def is_due(self) -> bool:
        """Whether it is time to ask again."""
        return self.since is None or self.clock() >= self._next

    @property
    def is_exhausted(self) -> bool:
        return self.since is not None and self._silences >= FEWEST and self.clock() - self.since >= DEADLINE_SECONDS

    def answered(self) -> None:
        self.since = None

    def was_ignored(self) -> bool:
        """Note a silence; whether it is the first."""
        now, first = self.clock(), self.since is None
        if first:
            self.since, self._silences, self._pause = now, 0, FIRST_PAUSE_SECONDS
        self._silences += 1
        self._next = now + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)
        return first


def unanswered(error: BackendError) -> str:
    """Why nothing is known of a job, in words."""
    if isinstance(error, RefusedError):
        return error.message
    return f"the backend has not answered for {DEADLINE_SECONDS / 60:.0f} min: {error.message}"
