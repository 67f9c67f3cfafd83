"""What large files came to: digests of weights, columns and rows of data, remembered from one run to the next.

A file is told again without being read while everything that ``os.stat`` says of it is as it was; the time of its
inode's change cannot be set back. What had just changed when it was read is not remembered: it might change again
within one tick of the clock, and nobody could tell. Unlike a verdict, what is remembered of one file outlives changes
of every other.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from io import RawIOBase
from pathlib import Path
from typing import Any, TypeVar

from studio.core import fingerprints
from studio.load import cache, witness
from studio.load.cache import Place
from studio.load.witness import Witness, identity, seen

T = TypeVar("T")

FORMAT = 1
LEAST = 16 << 10
"""Bytes. What is smaller is read as fast as it is looked up."""
MAX_FILES = 20_000
"""Remembered of one project; the latest stay."""


@dataclass(slots=True)
class Recollection:
    """Path to what the file was and what it came to. ``place`` is where that outlives the run."""

    place: Place | None = None
    known: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    grown: bool = False

    def of(self, path: Path, what: str, find: Callable[[RawIOBase], T]) -> T:
        with path.open("rb", buffering=0) as stream:
            status = os.fstat(stream.fileno())
            if status.st_size < LEAST:
                return find(stream)
            begun, now = time.time_ns(), identity(status)
            before, came_to = self.known.get(str(path), ("", {}))
            if before == now and what in came_to:
                found: T = came_to[what]
                return found
            result = find(stream)
            unchanged = identity(os.fstat(stream.fileno())) == now == identity(seen(str(path)))
        if unchanged and max(status.st_mtime_ns, status.st_ctime_ns) < begun - witness.SETTLED:
            self.known.pop(str(path), None)
            self.known[str(path)] = (now, {**(came_to if before == now else {}), what: result})
            self.grown = True
        return result

    def load(self) -> None:
        """What earlier runs left."""
        try:
            content = self.place.read() if self.place else None
            self.known = {path: (was, dict(came_to)) for path, was, came_to in content["files"]} if content else {}
        except cache.DAMAGED:
            self.known = {}

    def save(self) -> None:
        """Leave it to later runs, with what others left meanwhile, and without what is there no more."""
        if not (self.place and self.grown):
            return
        others = Recollection(self.place)
        others.load()
        latest_last = (others.known | self.known).items()
        files = [[path, was, came_to] for path, (was, came_to) in latest_last if identity(seen(path)) == was]
        self.place.write({"files": files[-MAX_FILES:]})


_REMEMBERING: ContextVar[Recollection | None] = ContextVar("remembering", default=None)


@contextmanager
def remembering(root: Path, environ: Mapping[str, str]) -> Iterator[None]:
    """Digests and readings of large files are taken from earlier runs, and left to later ones."""
    code = Witness().testimony(cache.code(), ())
    recollection = Recollection(cache.place("contents", root, environ, FORMAT, code))
    recollection.load()
    token = _REMEMBERING.set(recollection)
    try:
        yield
    finally:
        _REMEMBERING.reset(token)
        recollection.save()


def recollect(path: Path, what: str, find: Callable[[RawIOBase], T]) -> T:
    """What ``find`` makes of a file's content, as JSON would give it back. Raises OSError, and what ``find`` raises."""
    return (_REMEMBERING.get() or Recollection()).of(path, what, find)


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    return recollect(path, "sha256", fingerprints.stream_digest)


def folder_digest(files: Mapping[str, Path]) -> str:
    """One digest of several files, see ``fingerprints``."""
    return fingerprints.folder_digest(files, file_digest)
