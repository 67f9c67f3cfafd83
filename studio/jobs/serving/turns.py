"""Whose turn it is: one at a time, first come first served, and a bounded number who wait."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from studio.jobs.serving.refusals import Busy, Closing, TimedOut

LOOK_SECONDS = 0.2
"""Between two looks whether somebody who waits has given up."""


@dataclass(frozen=True, slots=True, eq=False)
class Ticket:
    """A place in the queue."""


@dataclass(slots=True)
class Turns:
    """``waiting`` is how many may stand behind the one whose turn it is."""

    waiting: int
    _queue: deque[Ticket] = field(default_factory=deque)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _closed: bool = False

    def join(self) -> Ticket:
        """A place at the end; never waits. Raises Busy when the queue is full, Closing when nobody is let in."""
        with self._changed:
            if self._closed:
                raise Closing()
            if len(self._queue) > self.waiting:
                raise Busy(self.waiting)
            ticket = Ticket()
            self._queue.append(ticket)
            return ticket

    @contextmanager
    def turn(self, ticket: Ticket, given_up: Callable[[], bool], deadline: float) -> Iterator[None]:
        """Wait for the ticket's turn; it ends with the context. ``deadline`` as ``time.monotonic`` counts.

        Raises TimedOut or Closing while waiting; for who has given up the turn comes at once, and does nothing.
        """
        try:
            self._wait(ticket, given_up, deadline)
            yield
        finally:
            self.leave(ticket)

    def leave(self, ticket: Ticket) -> None:
        """Give up a place, whether the turn has come or not."""
        with self._changed:
            if ticket in self._queue:
                self._queue.remove(ticket)
            self._changed.notify_all()

    def close(self) -> None:
        """Let nobody in any more; who waits is told, and the one whose turn it is may finish."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def settle(self, seconds: float) -> bool:
        """Wait until nobody's turn is left; whether that came within ``seconds``."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._queue, seconds)

    def _wait(self, ticket: Ticket, given_up: Callable[[], bool], deadline: float) -> None:
        with self._changed:
            while self._queue[0] is not ticket:
                if self._closed:
                    raise Closing()
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimedOut("waited too long for its turn")
                if given_up():
                    raise Closing()
                self._changed.wait(min(left, LOOK_SECONDS))
