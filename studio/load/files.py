"""Which files are manifests, and their text."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path

from studio.core.findings import Source
from studio.load.problems import Fault, Problem

MAX_BYTES = 8 << 20
"""A manifest file larger than this is refused: it is data, not a manifest."""
SUFFIXES = (".yaml", ".yml")


class Place(StrEnum):
    """What there is at a location."""

    OUTSIDE = "outside"
    MISSING = "missing"
    FILE = "file"
    FOLDER = "folder"


def find(root: Path, folders: Iterable[str]) -> Iterator[str]:
    """Project-relative names of the manifest files below ``folders``, sorted; links to folders are not followed."""
    found = set()
    for folder in folders:
        start = root / folder
        if start.is_file():
            found.add(os.path.relpath(start, root))
        for path, names, files in os.walk(start):
            names[:] = [name for name in names if not name.startswith(".")]
            base = os.path.relpath(path, root)
            wanted = (name for name in files if name.endswith(SUFFIXES) and not name.startswith("."))
            found.update(os.path.normpath(f"{base}/{name}") for name in wanted)
    return iter(sorted(name.replace(os.sep, "/") for name in found))


def read_text(root: Path, name: str) -> str | Problem:
    """A file's text without a byte-order mark, or why it cannot be read."""
    source = Source(name)
    try:
        path = f"{root}/{name}"  # text, not a Path: this runs once for each of thousands of files
        if os.path.islink(path) and inside(root, name) is None:
            return Problem(Fault.OUTSIDE, "the file is a link that leaves the project", "copy it instead", source)
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # a pipe would wait for a writer for ever
            return Problem(Fault.UNREADABLE, "not a regular file", "move it out of the manifest folders", source)
        with open(path, "rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            hint = f"manifests stop at {MAX_BYTES >> 20} MiB; put data under data/ and name it with location"
            return Problem(Fault.LIMIT, "the file is too large for a manifest", hint, source)
    except OSError as error:
        return Problem(Fault.UNREADABLE, f"cannot be read: {error.strerror}", "check the file and its rights", source)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        hint = "save it as UTF-8, or move it out of the manifest folders"
        return Problem(Fault.UNREADABLE, f"not UTF-8 text (byte {error.start})", hint, source)


def inside(root: Path, location: str) -> Path | None:
    """The absolute path of a project-relative location, or None when it leaves the project, links included."""
    try:
        path = (root / location).resolve()
    except (ValueError, RuntimeError):  # a NUL character, or links in a circle: nothing that could be inside
        return None
    return path if path.is_relative_to(root.resolve()) else None


def look(root: Path, location: str) -> Place:
    """What there is at a project-relative location; nothing outside the project is looked at."""
    path = inside(root, location)
    if path is None:
        return Place.OUTSIDE
    try:
        return Place.FOLDER if path.is_dir() else Place.FILE if path.exists() else Place.MISSING
    except OSError:  # a name that is too long, or a folder that may not be entered
        return Place.MISSING
