"""SQLite read without a trace: no byte of the file or its log changes, and no file appears beside it.

A database whose log is written ahead has two companions, the log and an index into it. Even one who only reads creates
them, repairs the index, or carries the log over into the file. So what is there decides how to open:

- both: somebody writes or was killed; the index is only looked at, and rebuilt in memory where it is out of date;
- neither: nobody writes; the file is taken as immutable, and read again should it have changed meanwhile;
- a log without an index, or with the index of another log, as a writer leaves it that is killed just as it begins one:
  a copy is read, outside the project.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DatabaseError

Result = TypeVar("Result")
PATIENCE_SECONDS = 10.0
"""How long a file may go on changing while it is read."""
_COPY, _IMMUTABLE = "mode=rw", "mode=ro&immutable=1"
_WRITE_VERSION = 18
"""Where the header says whether the log is written ahead (2) or is one to roll back (1)."""
_SALT_OF_LOG, _SALT_OF_INDEX, _SALT = 16, 32, 8
"""Where the log's header and the index say to which log they belong, and how long that is (SQLite, WAL-mode File
Format). SQLite cannot read a log by another one's index without mending it, and gives up after ten seconds."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a file is opened, and what it must still be where nobody else may touch it meanwhile."""

    options: str
    stamp: tuple[int, ...] = ()


class Glance(sqlite3.Connection):
    """A connection that knows what it rests on."""

    file: Path
    way: Way
    copy: TemporaryDirectory[str] | None = None

    @property
    def is_steady(self) -> bool:
        """Whether the file is still to be opened in the same way, and, taken as immutable, has not changed."""
        return self.way == _way(self.file)


def opener(file: Path, timeout: float) -> Callable[[], Glance]:
    """How to open a file for reading; each time anew, for what is beside it comes and goes."""

    def connect() -> Glance:
        real = file.resolve()
        way = _way(real)
        copy = _copied(real) if way.options == _COPY else None
        opened = Path(copy.name) / real.name if copy else real
        found = sqlite3.connect(
            f"{opened.as_uri()}?{way.options}", uri=True, timeout=timeout, isolation_level=None, factory=Glance,
            check_same_thread=False,
        )  # fmt: skip
        found.file, found.way, found.copy = real, way, copy
        return found

    return connect


def steadily(engine: Engine, action: Callable[[Connection], Result]) -> Result:
    """What is read from a connection; read again where the file changed under it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        with engine.connect() as connection:
            glance = connection.connection.driver_connection
            try:
                found = action(connection)
            except DatabaseError:
                if not isinstance(glance, Glance) or glance.is_steady or time.monotonic() > deadline:
                    raise
                continue
            sound = not isinstance(glance, Glance) or not glance.way.stamp or glance.is_steady
            if sound or time.monotonic() > deadline:
                return found


def _way(file: Path) -> Way:
    if not _is_ahead(file):
        return Way("mode=ro")
    log = _size(_beside(file, "-wal"))
    if _beside(file, "-shm").exists() and (not log or _is_indexed(file)):
        return Way("mode=ro&readonly_shm=1")
    status = file.stat()
    stamp = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns, log)
    return Way(_COPY if log else _IMMUTABLE, stamp)


def _is_ahead(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(_WRITE_VERSION + 1)[_WRITE_VERSION:] == b"\x02"


def _is_indexed(file: Path) -> bool:
    """Whether the index beside a file is that of the log beside it."""
    return _salt(_beside(file, "-wal"), _SALT_OF_LOG) == _salt(_beside(file, "-shm"), _SALT_OF_INDEX)


def _salt(file: Path, offset: int) -> bytes:
    try:
        with file.open("rb") as opened:
            opened.seek(offset)
            return opened.read(_SALT)
    except FileNotFoundError:
        return b""


def _beside(file: Path, ending: str) -> Path:
    return file.with_name(file.name + ending)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _copied(file: Path) -> TemporaryDirectory[str]:
    """The file and its log in a folder of their own, which goes when the connection does."""
    folder: TemporaryDirectory[str] = TemporaryDirectory(prefix="studio-state-")
    for each in (file, _beside(file, "-wal")):
        shutil.copyfile(each, Path(folder.name) / each.name)
    return folder
