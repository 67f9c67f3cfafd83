"""The user's own cache folder: files that one run leaves for the next, each with a checksum.

Never in the project, where a pull request could commit one. What is damaged, or could have been written by somebody
else, counts as absent; where nothing may be written, nothing is kept, and nobody is told.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import studio
from studio.core.secrets import maybe_secret

FOLDER = "fine-tuning-studio"
MAX_BYTES = 128 << 20
"""Of one file; the verdict on 100,000 manifests takes about 25 MiB."""
MAX_KEPT, MAX_AGE = 64, 30 * 86_400
"""Files of one sort, and seconds; what is beyond is removed."""
DAMAGED = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What a kept file may raise when it is taken apart."""

Question = list[str | int | None]


@dataclass(frozen=True, slots=True)
class Place:
    """The file that answers a question; the question is in it, because its name holds only a hash."""

    file: Path
    question: Question

    def read(self) -> dict[str, Any] | None:
        """What is kept here; None when that answers something else. May raise what is ``DAMAGED``."""
        content = _read(self.file)
        return content if content and content["question"] == self.question else None

    def write(self, content: Mapping[str, Any]) -> None:
        """Best effort. What looks like a token or a password is kept nowhere, and nothing together with it."""
        text = json.dumps({"question": self.question, **content}, separators=(",", ":"))
        if maybe_secret(text):
            return
        body = text.encode()
        try:
            self.file.parent.mkdir(0o700, parents=True, exist_ok=True)
            _write(self.file, body)
            _clear(self.file.parent)
        except OSError:
            return


def place(sort: str, root: Path, environ: Mapping[str, str], *asked: str | int | None) -> Place | None:
    """Where the answer to a question about a project belongs; None when there is no folder for it that is the user's
    own and outside the project. Another version of studio or of Python, and another user, ask another question; so does
    the same user with other rights, to whom other files are open."""
    base = Path(environ.get("XDG_CACHE_HOME") or (f"{environ['HOME']}/.cache" if environ.get("HOME") else ""))
    if not base.is_absolute():  # as the specification of these folders demands
        return None
    folder = base.resolve() / FOLDER / sort
    if folder.is_relative_to(root):
        return None
    question: Question = [*asked, studio.__version__, sys.version, str(root), os.geteuid(), _rights()]
    return Place(folder / f"{hashlib.sha256(json.dumps(question).encode()).hexdigest()[:32]}.json", question)


def _rights() -> str:
    """What besides the user's id decides which files this process may open: groups, and on Linux its capabilities."""
    groups = [os.getegid(), *sorted(os.getgroups())]
    status = Path("/proc/self/status")
    lines = status.read_text("ascii", "replace").splitlines() if status.exists() else []
    return f"{groups} {next((line.split()[1] for line in lines if line.startswith('CapEff:')), '')}"


def code() -> Iterator[str]:
    """Studio's own files and folders: other code comes to other answers."""
    for folder, names, found in os.walk(Path(studio.__file__).parent):
        names[:] = [name for name in names if name != "__pycache__"]
        yield folder
        yield from (f"{folder}/{name}" for name in found)


def _read(file: Path) -> dict[str, Any] | None:
    """A kept file's content; None when it is damaged, or could have been written by somebody else."""
    with file.open("rb") as stream:
        status = os.fstat(stream.fileno())
        shared = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if shared or status.st_uid != os.geteuid() or status.st_size > MAX_BYTES:
            return None
        told, _, body = stream.read(MAX_BYTES).partition(b"\n")
    found = json.loads(body) if told == _checksum(body) else None
    return found if isinstance(found, dict) else None


def _write(file: Path, body: bytes) -> None:
    """Renamed into place, so that two runs at once do no harm; after a power cut the checksum tells."""
    if len(body) >= MAX_BYTES - 65:
        return
    temporary = file.with_suffix(f".{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(_checksum(body) + b"\n" + body)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()


def _clear(folder: Path) -> None:
    """Remove what is old, and the oldest of what is too much."""
    newest_first = sorted((entry.stat().st_mtime, entry.path) for entry in os.scandir(folder))[::-1]
    for index, (written, path) in enumerate(newest_first):
        if index >= MAX_KEPT or written < time.time() - MAX_AGE:
            Path(path).unlink(missing_ok=True)
