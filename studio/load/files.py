"""Which files are manifests, and their text. The gates through which every look at a project's files goes.

Nothing is opened that did not pass ``inside``, ``look``, ``find``, ``below`` or ``read_text``: they keep a run inside
the project, and they note what it looked at.
"""

from __future__ import annotations

import codecs
import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from itertools import islice
from pathlib import Path

from studio.core.errors import UsageError
from studio.core.findings import Position, Source
from studio.load.problems import Fault, Problem
from studio.load.witness import doubt, note, note_way

SETTINGS_FILE = "studio.yaml"
MAX_BYTES = 8 << 20
"""A manifest file larger than this is refused: it is data, not a manifest."""
MAX_NAMES = 1_000
"""Entries of a folder among which a similar name is looked for."""
SUFFIXES = (".yaml", ".yml")
_PLAINLY = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""A link is not followed, and a pipe without a writer is not waited for."""


class Place(StrEnum):
    """What there is at a location."""

    OUTSIDE = "outside"
    MISSING = "missing"
    FILE = "file"
    FOLDER = "folder"


def find_root(start: Path) -> Path:
    """The nearest folder at or above ``start`` that holds studio.yaml; raises UsageError."""
    for folder in (start, *start.parents):
        if (folder / SETTINGS_FILE).is_file():
            return folder
    raise UsageError(
        f"no {SETTINGS_FILE} in {start} or above it", "run 'studio init' to start a project, or pass --project FOLDER"
    )


def find(root: Path, folders: Iterable[str]) -> tuple[list[str], list[Problem]]:
    """Project-relative names of the manifest files below ``folders``, sorted, links to folders not followed; and which
    folders cannot be listed, so that nobody takes what is in them for absent."""
    found: set[str] = set()
    closed: dict[str, Problem] = {}
    for folder in folders:
        start = os.path.relpath(f"{root}/{folder}", root).replace(os.sep, "/")
        if (root / start).is_file():
            found.add(start)
            continue
        names = below(root, start, lambda name, error: closed.update({name: _closed(name, error)}))
        found.update(name for name in names if name.endswith(SUFFIXES))
    return sorted(found), [closed[name] for name in sorted(closed)]


def _closed(name: str, error: OSError) -> Problem:
    message = f"the manifest folder {name!r} cannot be read: {error.strerror}"
    return Problem(Fault.UNREADABLE, message, "check the folder and its rights", Source(name))


def below(root: Path, folder: str, closed: Callable[[str, OSError], None]) -> Iterator[str]:
    """Project-relative names of all files below ``folder`` in no order, hidden ones left out; links to folders are not
    followed. ``closed`` is told of each folder that cannot be listed: by its rights, or as it is gone meanwhile."""
    pending = [folder]
    for name in pending:
        note(f"{root}/{name}")
        prefix = "" if name == "." else f"{name}/"
        try:
            with os.scandir(f"{root}/{name}") as entries:
                listed = [(entry.name, _is_folder(entry)) for entry in entries if not entry.name.startswith(".")]
        except OSError as error:
            doubt(f"{root}/{name} cannot be listed")  # for another user it may be otherwise
            closed(name, error)
            continue
        for each, is_folder in listed:
            if is_folder is None:
                continue
            if is_folder:
                pending.append(prefix + each)
            else:
                yield prefix + each


def names_in(root: Path, folder: str, *, folders: bool = False) -> tuple[str, ...]:
    """Names of the files in a folder, or of its folders, sorted; none of a folder that holds too many, is no folder, or
    leaves the project. Hidden ones are left out."""
    path = inside(root, folder)
    try:
        with os.scandir(path or "") as entries:
            found = list(islice(entries, MAX_NAMES + 1))
    except OSError:
        return ()
    named = (each.name for each in found if each.is_dir(follow_symlinks=False) == folders)
    return tuple(sorted(name for name in named if not name.startswith("."))) if len(found) <= MAX_NAMES else ()


def _is_folder(entry: os.DirEntry[str]) -> bool | None:
    """Whether an entry is to be entered; None for a link to a folder, which is neither entered nor read."""
    try:
        return (None if entry.is_symlink() else True) if entry.is_dir() else False
    except OSError:  # links in a circle, reading says so; or what may not even be looked at, listing says so
        return not entry.is_symlink()


def read_text(root: Path, name: str) -> str | Problem:
    """A file's text without a byte-order mark, or why it cannot be read."""
    try:
        content = _read(root, name)
        return content if isinstance(content, Problem) else content.decode("utf-8-sig")
    except OSError as error:
        note(f"{root}/{name}")
        hint = "check the file and its rights"
        return Problem(Fault.UNREADABLE, f"cannot be read: {error.strerror}", hint, Source(name))
    except UnicodeDecodeError as error:
        hint = "save it as UTF-8, or move it out of the manifest folders"
        if error.object[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            hint = f"it is UTF-16: {hint}"
        before = error.object[: error.start].decode("utf-8-sig")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        message = f"not UTF-8 text (byte {error.start})"
        return Problem(Fault.UNREADABLE, message, hint, Source(name), position=Position(name, line, column))


def _read(root: Path, name: str) -> bytes | Problem:
    """Four system calls for a file, because this runs for each of thousands."""
    path = f"{root}/{name}"
    try:
        descriptor = os.open(path, _PLAINLY)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        if inside(root, name) is None:
            hint = "copy it instead"
            return Problem(Fault.OUTSIDE, "the file is a link that leaves the project", hint, Source(name))
        descriptor = os.open(path, _PLAINLY & ~os.O_NOFOLLOW)
    try:
        status = os.fstat(descriptor)
        note(path, status)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(status.st_mode):
            hint = "move it out of the manifest folders"
            return Problem(Fault.UNREADABLE, "not a regular file", hint, Source(name))
        content = os.read(descriptor, min(status.st_size, MAX_BYTES) + 1)
    finally:
        os.close(descriptor)
    if len(content) > MAX_BYTES:
        hint = f"manifests stop at {MAX_BYTES >> 20} MiB; put data under data/ and name it with location"
        return Problem(Fault.LIMIT, "the file is too large for a manifest", hint, Source(name))
    return content


def inside(root: Path, location: str) -> Path | None:
    """The absolute path of a project-relative location, or None when it leaves the project, links included."""
    asked = f"{root / location}"
    note_way(asked)
    try:
        base, path = os.path.realpath(root), os.path.realpath(asked)
        status = os.stat(path)
    except OSError as error:
        if error.errno == errno.ELOOP:  # links in a circle
            return None
        status = None
    except ValueError:  # a NUL character, or half of a surrogate pair: nothing that could be inside
        return None
    if path != base and not path.startswith(base.rstrip("/") + "/"):
        return None
    note(path, status)
    return Path(path)


def look(root: Path, location: str) -> Place:
    """What there is at a project-relative location; nothing outside the project is looked at."""
    path = inside(root, location)
    if path is None:
        return Place.OUTSIDE
    try:
        return Place.FOLDER if path.is_dir() else Place.FILE if path.exists() else Place.MISSING
    except OSError:  # a name that is too long, or a folder that may not be entered
        return Place.MISSING


def absence(root: Path, location: str) -> str:
    """Why nothing was found at a location in the project: it is not there, or a folder on the way is closed."""
    try:
        os.stat(f"{root}/{location}")
    except PermissionError as error:
        return f"cannot be read: {error.strerror}"
    except OSError:
        return "does not exist"
    return "does not exist"
