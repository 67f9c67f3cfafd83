"""Processes that a job's own child started: how busy they are, and their end.

A process whose parent ended becomes a child of the job when that adopts (Linux), so that none is lost from sight.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
"""Of prctl(2)."""
ENDING_SECONDS = 5.0
"""How long processes that were killed may take to be gone."""
_PROC = Path("/proc")
_PARENT, _USER_TICKS, _SYSTEM_TICKS = 1, 11, 12
"""Fields of /proc/PID/stat behind the name, from 0 on (proc(5): ppid, utime, stime)."""


def adopt() -> None:
    """From now on, what a descendant leaves behind becomes a child of this process. Linux only."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def below(pid: int) -> set[int]:
    """The descendants of a process that still run; empty where nothing tells."""
    children: dict[int, set[int]] = {}
    for each in _running():
        children.setdefault(int(_stat(each)[_PARENT] or 0), set()).add(each)
    found: set[int] = set()
    pending = [pid]
    while pending:
        new = children.get(pending.pop(), set()) - found
        found |= new
        pending += new
    return found


def seconds(pids: set[int]) -> float:
    """Processor time that these processes have used so far."""
    ticks = sum(int(_stat(each)[_USER_TICKS]) + int(_stat(each)[_SYSTEM_TICKS]) for each in pids)
    return ticks / os.sysconf("SC_CLK_TCK")


def end(keep: set[int]) -> int:
    """Kill every descendant of this process that is not to be kept; how many there were."""
    killed: set[int] = set()
    deadline = time.monotonic() + ENDING_SECONDS
    while (left := below(os.getpid()) - keep) and time.monotonic() < deadline:
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # it ended, or is not ours to end
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):  # not adopted yet
                os.waitpid(pid, os.WNOHANG)
        killed |= left
        time.sleep(0.01)
    return len(killed)


def _running() -> list[int]:
    names = [path.name for path in _PROC.iterdir()] if _PROC.is_dir() else []
    return [int(name) for name in names if name.isdigit() and _stat(int(name))[0] not in ("", "Z")]


def _stat(pid: int) -> list[str]:
    """State, parent and what follows; a name may hold blanks and brackets, so what counts is behind the last one."""
    try:
        return (_PROC / str(pid) / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:  # it ended in the meantime
        return [""] + ["0"] * _SYSTEM_TICKS
