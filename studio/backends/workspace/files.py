"""The project's files in the workspace, as its API gives them: names, sizes and whole contents.

Nothing is asked for that may not be there: a folder is looked for in the one above it first, and a file is read only
when a listing shows it. So no question gets a refusal for an answer, and none is repeated after one. The exception is a
workspace whose listings leave out names that begin with a dot: there, what is in such a folder is asked for, seldom.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from studio.backends.workspace.calls import Calls, MissingError

ROOT = "/"
GUESS_SECONDS = 60.0
"""Between two questions for a folder that listings do not show."""
BLOCK_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Entry:
    """A file with its size in bytes, or a folder."""

    size: int
    is_folder: bool = False


@dataclass(slots=True)
class Files:
    """Paths are relative to the project. Every method may raise BackendError."""

    calls: Calls
    _there: set[str] = field(default_factory=lambda: {ROOT})
    """Folders that were there when somebody looked."""
    _guessed_at: float = float("-inf")

    def within(self, folder: str) -> Mapping[str, Entry]:
        """What lies in a folder, by name; nothing where there is no such folder."""
        return self._listed(folder) if self._is_there(folder) else {}

    def find(self, path: str) -> Entry | None:
        """A file or folder; None where there is none."""
        place = PurePosixPath(path)
        return self.within(str(place.parent)).get(place.name)

    def read(self, path: str, most: int) -> bytes:
        """The first ``most`` bytes of a file that is there."""

        def reading(**named: Any) -> bytes:
            return b"".join(self._blocks(path, named, most))

        return self.calls.ask(f"read the project's file {path}", reading)

    def copy(self, path: str, into: BinaryIO, start: int) -> None:
        """Write what a file that is there holds from ``start`` on to the same place of another. There is no way to ask
        for a part of a file, so the beginning is read too, and dropped."""

        def copying(**named: Any) -> None:
            into.seek(start)
            into.truncate()
            place = 0
            for block in self._blocks(path, named):
                into.write(block[max(0, start - place) :])
                place += len(block)

        self.calls.ask(f"read the project's file {path}", copying)

    def delete(self, path: str) -> bool:
        """Delete a file, or a folder with all that is in it. Whether it was there."""
        if self.find(path) is None:
            return False
        self._there = {known for known in self._there if known != path and not known.startswith(f"{path}/")}
        try:
            self.calls.ask(f"delete the project's file {path}", self.calls.client.delete_project_file, self._id, path)
        except MissingError:  # somebody else was faster, or the answer to our first call was lost
            return False
        return True

    @property
    def _id(self) -> str:
        return self.calls.project_id

    def _is_there(self, folder: str) -> bool:
        for above, below in _steps(folder):
            if below not in self._there:
                listed = self._listed(above)
                entry = listed.get(PurePosixPath(below).name)
                if not (entry.is_folder if entry else self._may_be_hidden(below, listed)):
                    return False
                self._there.add(below)
        return True

    def _may_be_hidden(self, folder: str, listed: Mapping[str, Entry]) -> bool:
        """Whether to ask for a folder that a listing does not show. A home without a single dotfile is none."""
        shown = any(name.startswith(".") for name in listed)
        if shown or "/" in folder or not folder.startswith("."):
            return False
        now = self.calls.clock()
        if now - self._guessed_at < GUESS_SECONDS:
            return False
        self._guessed_at = now
        return True

    def _listed(self, folder: str) -> dict[str, Entry]:
        """A listing. A folder that turned out to be gone is looked for anew the next time."""
        what = f"list the project's folder {folder}"
        try:
            found = self.calls.ask(what, self.calls.client.list_project_files, self._id, folder)
        except MissingError:
            self._there = {ROOT}
            if folder == ROOT:
                raise
            return {}
        return {PurePosixPath(each.path).name: _entry(each) for each in found.files or () if each.path}

    def _blocks(self, path: str, named: Mapping[str, Any], most: int | None = None) -> Iterator[bytes]:
        """A file's content, piece by piece; reading no more than is asked for bounds what a hostile one can do."""
        response = self.calls.client.download_project_file(self._id, path, _preload_content=False, **named)
        left = most
        try:
            while left is None or left > 0:
                block: bytes = response.read(BLOCK_BYTES if left is None else min(left, BLOCK_BYTES))
                if not block:
                    return
                left = left if left is None else left - len(block)
                yield block
        finally:
            response.close()


def _entry(info: Any) -> Entry:
    size = str(info.file_size or "")
    return Entry(int(size) if size.isascii() and size.isdigit() else 0, bool(info.is_dir))


def _steps(folder: str) -> Iterator[tuple[str, str]]:
    """Each folder on the way, with the one above it: ``("/", "a"), ("a", "a/b")``."""
    above = ROOT
    for number in range(1, len(PurePosixPath(folder).parts) + 1):
        below = str(PurePosixPath(*PurePosixPath(folder).parts[:number]))
        yield above, below
        above = below
