"""Processes that a job starts beside itself, and all that these start: how busy they are, and their end.

A process whose parent ended becomes a child of the job when that adopts (Linux), so that none is lost from sight.
Elsewhere those that were seen once are remembered.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import psutil

PR_SET_CHILD_SUBREAPER = 36
"""Of prctl(2)."""
ADOPTS = sys.platform.startswith("linux")
GRACE_SECONDS, LEAST_SECONDS = 15.0, 2.0
"""From the request to stop to the kill, shorter than what the job itself gets; and at least, for what the first process
leaves behind."""
LOOK_SECONDS = 0.05


def adopt() -> None:
    """From now on, what a descendant leaves behind becomes a child of this process. Linux only."""
    if ADOPTS:
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def below(pid: int | None = None) -> set[psutil.Process]:
    """The descendants of a process, of this one if not said, that still run."""
    try:
        return {each for each in psutil.Process(pid).children(recursive=True) if _runs(each)}
    except psutil.NoSuchProcess:
        return set()


def seconds(processes: Iterable[psutil.Process]) -> float:
    """Processor time that these have used so far."""
    used = 0.0
    for each in processes:
        with contextlib.suppress(psutil.Error):  # it ended in the meantime, or is not ours to ask
            times = each.cpu_times()
            used += times.user + times.system
    return used


@dataclass(slots=True)
class Family:
    """All that this process starts from now on. ``known`` remembers them: a launcher that died hides no worker."""

    kept: set[psutil.Process] = field(default_factory=below)
    known: set[psutil.Process] = field(default_factory=set)

    def grow(self) -> None:
        """Note who is there now."""
        self.known |= below() - self.kept

    def end(self, first: subprocess.Popen[bytes]) -> None:
        """Ask the first to stop, which may have something to save and helpers that it needs for that; then whoever is
        left; then kill."""
        deadline = time.monotonic() + GRACE_SECONDS
        self.grow()
        if first.poll() is None:
            first.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                first.wait(GRACE_SECONDS)
        self._send(psutil.Process.terminate, first, max(deadline, time.monotonic() + LEAST_SECONDS))
        self._send(psutil.Process.kill, first, time.monotonic() + GRACE_SECONDS)
        first.wait()

    def _send(self, signal: Callable[[psutil.Process], None], first: subprocess.Popen[bytes], deadline: float) -> None:
        """To each, once; and wait until none is left."""
        told: set[psutil.Process] = set()
        while (left := self._left(first)) and time.monotonic() < deadline:
            for process in left - told:
                with contextlib.suppress(psutil.Error):  # it ended in the meantime
                    signal(process)
            told |= left
            time.sleep(LOOK_SECONDS)

    def _left(self, first: subprocess.Popen[bytes]) -> set[psutil.Process]:
        self.grow()
        first.poll()  # so that it does not stay as a zombie
        for process in self.known:
            if process.pid != first.pid and not _runs(process):
                with contextlib.suppress(ChildProcessError):  # it was not adopted
                    os.waitpid(process.pid, os.WNOHANG)
        return {each for each in self.known if _runs(each)}


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
