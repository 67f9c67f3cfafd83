"""Which files are manifests, and their text."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from studio.core.findings import Source
from studio.load.problems import Fault, Problem

MAX_BYTES = 8 << 20
"""A manifest file larger than this is refused: it is data, not a manifest."""
SUFFIXES = (".yaml", ".yml")


def find(root: Path, folders: Iterable[str]) -> Iterator[str]:
    """Project-relative names of the manifest files below ``folders``, sorted; links to folders are not followed."""
    found = set()
    for folder in folders:
        start = root / folder
        if start.is_file():
            found.add(start.relative_to(root).as_posix())
        for path, names, files in os.walk(start):
            names[:] = [name for name in names if not name.startswith(".")]
            base = os.path.relpath(path, root)
            found.update(f"{base}/{name}" for name in files if name.endswith(SUFFIXES))
    return iter(sorted(name.replace(os.sep, "/").removeprefix("./") for name in found))


def read_text(root: Path, name: str) -> str | Problem:
    """A file's text without a byte-order mark, or why it cannot be read."""
    source = Source(name)
    try:
        path = inside(root, name)
        if path is None:
            return Problem(Fault.UNREADABLE, "the file is a link that leaves the project", "copy it instead", source)
        if path.stat().st_size > MAX_BYTES:
            hint = f"manifests stop at {MAX_BYTES >> 20} MiB; put data under data/ and name it with location"
            return Problem(Fault.LIMIT, "the file is too large for a manifest", hint, source)
        content = path.read_bytes()
    except OSError as error:
        return Problem(Fault.UNREADABLE, f"cannot be read: {error.strerror}", "check the file and its rights", source)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        hint = "save it as UTF-8, or move it out of the manifest folders"
        return Problem(Fault.UNREADABLE, f"not UTF-8 text (byte {error.start})", hint, source)


def inside(root: Path, location: str) -> Path | None:
    """The absolute path of a project-relative location, or None when it leaves the project, links included."""
    path = (root / location).resolve()
    return path if path.is_relative_to(root.resolve()) else None
