"""Logs of jobs in the workspace: the files that jobs leave in their run folders, mirrored here as they grow.

The API gives files whole or not at all, so a growing log is fetched anew whenever it has grown: seldom, and the more
seldom the larger it is.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from studio.backends.log_file import LogFile
from studio.backends.workspace.files import Files
from studio.core.errors import BackendError
from studio.core.jobspec import LOG_FILE

BYTES_PER_SECOND = 1 << 20
"""What following a log may cost on average."""
SOONEST_SECONDS, LATEST_SECONDS = 3.0, 60.0
LARGEST_BYTES = 256 << 20
"""Of a log that is fetched; a larger one is read in the workspace."""


@dataclass(slots=True)
class Mirror:
    """One part's log. ``copy`` is where it is kept here."""

    path: str
    copy: LogFile
    heading: str = ""
    _due: float = float("-inf")

    def refresh(self, files: Files, now: float) -> None:
        """Fetch what is new, unless that was done a moment ago. Raises BackendError."""
        if now < self._due:
            return
        entry = files.find(self.path)
        size, known = (entry.size if entry else 0), (self.copy.path.stat().st_size if self.copy.path.exists() else 0)
        if size > LARGEST_BYTES:
            message = f"the log {self.path} has {size >> 20} MiB, and the workspace gives files only whole"
            raise BackendError(message, "look at it in the workspace, in the project's files")
        if size < known:  # another attempt began it anew
            self.copy.path.unlink()
            known = 0
        if size > known:
            with self.copy.path.open("ab") as stream:
                stream.truncate(known)
            with self.copy.path.open("r+b") as stream:
                files.copy(self.path, stream, known)
        self._due = now + min(max(size / BYTES_PER_SECOND, SOONEST_SECONDS), LATEST_SECONDS)


@dataclass(slots=True)
class WorkspaceLog:
    """What a run prints. Of several parts, one after the other, under a heading each."""

    files: Files
    clock: Callable[[], float]
    mirrors: tuple[Mirror, ...]
    keep: tempfile.TemporaryDirectory[str]
    _shown: str = ""

    def skip(self, last: int) -> None:
        """Go on with the last ``last`` lines of each part."""
        for mirror in self.mirrors:
            mirror.refresh(self.files, self.clock())
            mirror.copy.skip(last)

    def lines(self, *, unfinished: bool = True) -> Iterator[str]:
        for mirror in self.mirrors:
            mirror.refresh(self.files, self.clock())
            for line in mirror.copy.lines(unfinished=unfinished):
                if self._shown != mirror.heading:
                    self._shown = mirror.heading
                    yield f"{mirror.heading}\n"
                yield line


def opened(files: Files, clock: Callable[[], float], folder: str, parts: int) -> WorkspaceLog:
    """The log of a run in ``folder``; opening it reads nothing."""
    keep = tempfile.TemporaryDirectory(prefix="studio-log-")
    numbers = range(1, parts + 1) if parts > 1 else (0,)
    mirrors = [
        Mirror(path(folder, part), LogFile(Path(keep.name, str(part))), f"── part {part} of {parts} ──" if part else "")
        for part in numbers
    ]
    return WorkspaceLog(files, clock, tuple(mirrors), keep)


def path(folder: str, part: int = 0) -> str:
    """Where a run in ``folder``, or a part of it, writes its log."""
    return f"{folder}/part-{part}/{LOG_FILE}" if part else f"{folder}/{LOG_FILE}"
