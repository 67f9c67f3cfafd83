"""The files of one run folder that whoever starts a job shares with who waits for it, and the lock that says whether
anyone is alive.

No third-party import here: the supervisor stays small beside a training process.
"""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

from studio.core.atomic import write_atomically

SPEC, SUPERVISOR, EXIT, RESULT = "spec.json", "supervisor.json", "exit.json", "result.json"
LOCK, LOG = "lock", "log.txt"


def read(path: Path) -> dict[str, Any]:
    """A JSON object, or {} while it is not there."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    return dict(content)


def write(path: Path, content: dict[str, Any] | str) -> None:
    """Write all or nothing: a reader never sees half a file, and a crash leaves the old one."""
    text = content if isinstance(content, str) else json.dumps(content, sort_keys=True)
    write_atomically(path, text.encode())


def take_lock(folder: Path) -> int | None:
    """The lock's descriptor, or None when another process has it. The job inherits it and so keeps it alive."""
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def is_alive(folder: Path) -> bool:
    """Whether a supervisor or its job still holds the lock."""
    if not (folder / LOCK).exists():
        return False
    descriptor = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def is_supervisor(pid: int, folder: Path) -> bool:
    """Whether a process is this run's supervisor: when that was killed, its number may be another process's by now."""
    proc = Path("/proc")
    if not (proc / "self").exists():
        return True  # not Linux; nothing tells
    try:
        words = (proc / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return os.fsencode(folder) in words
