"""Which process holds a lock, told apart from every other one, and whether it is certainly gone."""

from __future__ import annotations

import os
import socket
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """A process of one boot of one machine. ``space`` and ``started`` are empty where the system does not tell."""

    host: str
    space: str
    """The boot and the process namespace: a pid means something only inside both."""
    pid: int
    started: str
    """Clock ticks between boot and start, so that a pid given out again is another process."""


def this_process() -> Process:
    pid = os.getpid()
    return Process(socket.gethostname(), _space(), pid, _started(pid) or "")


def stored(process: Process) -> dict[str, Any]:
    return asdict(process)


def describe(process: Process, actor: str, command: str, now: float) -> str:
    """Who holds the lock, for the message that another one prints; ``now`` in seconds since the epoch."""
    since = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    who = f"{actor}: " if actor else ""
    return f"{who}{command!r}, process {process.pid} on {process.host} since {since}"


def is_gone(holder: dict[str, Any]) -> bool:
    """Whether a recorded process has certainly ended. What cannot be known, such as of another host, is no."""
    space = _space()
    if not space or holder.get("space") != space or holder.get("host") != socket.gethostname():
        return False
    pid, started = holder["pid"], holder["started"]
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:  # another user's process lives
        pass
    found = _started(pid)
    return found is not None and (found == "" or (started != "" and found != started))


def _space() -> str:
    try:
        boot = (_PROC / "sys" / "kernel" / "random" / "boot_id").read_text("ascii").strip()
        return f"{boot} {(_PROC / 'self' / 'ns' / 'pid').readlink()}"
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """When a process began; empty when it has ended and nobody has asked for its exit code; None when unknown."""
    try:
        after_name = (_PROC / str(pid) / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        ended = after_name[0] in "ZX" and len(list((_PROC / str(pid) / "task").iterdir())) <= 1
    except OSError:
        return None
    return "" if ended else after_name[19]
