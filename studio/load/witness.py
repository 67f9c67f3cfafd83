"""What a run looks at, so that a later run can tell whether any of it has changed.

The gates of ``files`` note every path before it is read. Whoever wants to know, opens a witness around the run.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

SETTLED = 2_000_000_000
"""Nanoseconds. What changed later than this before a run may change again within one tick of a coarse file system's
clock (FAT: two seconds), and nobody could tell; a look at it proves nothing."""


@dataclass(slots=True)
class Witness:
    """Path to what was there, by ``os.stat``; and path to where a link on the way led, "" for what is no link."""

    begun: int = field(default_factory=time.time_ns)
    looks: dict[str, str] = field(default_factory=dict)
    ways: dict[str, str] = field(default_factory=dict)
    doubt: str = ""
    """Why the looks prove nothing, in words; "" when they do."""

    def saw(self, path: str, status: os.stat_result | None) -> None:
        if status is not None and max(status.st_mtime_ns, status.st_ctime_ns) > self.begun - SETTLED:
            self.doubt = f"{path} has just changed"
        found = identity(status)
        if self.looks.setdefault(path, found) != found:
            self.doubt = f"{path} changed while it was looked at"

    def passed(self, path: str) -> None:
        """Note every step of the way to ``path``: each may become a link that leads elsewhere."""
        while path not in self.ways and len(path) > 1:
            self.ways[path] = led(path)
            path = path.rpartition("/")[0]

    def testimony(self, looks: Iterable[str], ways: Iterable[str]) -> str:
        """One hash of what is at these paths: as it was seen, else as it is now."""
        told = [f"{path}\0{self.looks.get(path) or identity(seen(path))}" for path in looks]
        led_to = [f"{path}\0{led(path) if (way := self.ways.get(path)) is None else way}" for path in ways]
        words = "\0\0".join(("\0".join(told), "\0".join(led_to)))
        return hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()


_WATCHING: ContextVar[Witness | None] = ContextVar("watching", default=None)


@contextmanager
def watching() -> Iterator[Witness]:
    """Everything that the gates let through meanwhile is noted."""
    witness = Witness()
    token = _WATCHING.set(witness)
    try:
        yield witness
    finally:
        _WATCHING.reset(token)


def note(path: str, status: os.stat_result | None = None) -> None:
    """A path is about to be read, or was found missing. ``status`` saves the look when the caller has had one."""
    witness = _WATCHING.get()
    if witness is not None:
        witness.saw(path, status or seen(path))


def doubt(why: str) -> None:
    """What a run finds may be otherwise the next time although nothing has changed: something ran out of time."""
    witness = _WATCHING.get()
    if witness is not None:
        witness.doubt = why


def note_way(path: str) -> None:
    """A path is about to be followed."""
    witness = _WATCHING.get()
    if witness is not None:
        witness.passed(path)


def seen(path: str) -> os.stat_result | None:
    """What is at a path, links followed; None when nothing is, or nothing that may be seen."""
    try:
        return os.stat(path)
    except (OSError, ValueError):  # ValueError: a NUL character, or half of a surrogate pair
        return None


def led(path: str) -> str:
    """Where a link leads in the end; "" for what is no link."""
    try:
        return os.path.realpath(path) if os.path.islink(path) else ""
    except (OSError, ValueError):
        return ""


def identity(status: os.stat_result | None) -> str:
    """What tells one state of a path from another."""
    if status is None:
        return "missing"
    times = f"{status.st_mtime_ns} {status.st_ctime_ns}"
    return f"{status.st_mode} {status.st_size} {times} {status.st_ino} {status.st_dev} {status.st_uid}"
