"""The command line of a job, and its end: shared by whoever starts one.

No third-party import here: what starts a job stays small beside it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

GRACE_SECONDS = 30
"""Between the request to stop and the kill."""
OWN_PROCESSES = frozenset({"axolotl"})
"""Frameworks that start their processes themselves, on one machine; the job that attends to them is one."""
PR_SET_PDEATHSIG = 1
"""Of prctl(2)."""


def alone(file: Path) -> list[str]:
    """One process."""
    return [sys.executable, "-m", "studio.jobs", str(file)]


def launched(workers: int, framework: str) -> int:
    """How many processes of a job its launcher starts; ``framework`` is "" for a job that is no training."""
    return 1 if framework in OWN_PROCESSES else workers


def command(workers: int, file: Path) -> list[str]:
    """All processes of a job on this machine: plain Python, or one process per worker through torch's launcher."""
    if workers == 1:
        return alone(file)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(workers)]
    return [*launcher, *alone(file)[1:]]


def tied() -> Callable[[], None]:
    """For ``preexec_fn``: a process that ends when the one that started it does, even by SIGKILL. Linux only."""
    if not sys.platform.startswith("linux"):
        return lambda: None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def signal_group(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process and all that it started."""
    with contextlib.suppress(ProcessLookupError):  # it may have ended in the meantime
        os.killpg(pid, number)


def end(child: subprocess.Popen[bytes]) -> None:
    """Kill what is left of a job: workers that outlived their launcher would go on writing."""
    signal_group(child.pid, signal.SIGKILL)
