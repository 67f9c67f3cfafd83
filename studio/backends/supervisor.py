"""The process beside a local job: starts it, waits, records how it ended. Run as ``python -m``, detached.

It holds the run folder's lock, as does the job: a second supervisor of the same run exits at once, so submitting
twice never runs twice.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

from studio.jobs import launching, run_folder

HANDOVER_SECONDS = 10
"""How long an earlier attempt's supervisor may still hold the lock after its job ended."""


def main(folder: Path) -> int:
    spec = run_folder.read(folder / run_folder.SPEC)
    attempt = int(spec["attempt"])
    lock = _lock(folder, attempt)
    if lock is None:
        return 0
    if attempt in (run_folder.read(folder / name).get("attempt") for name in (run_folder.EXIT, run_folder.RESULT)):
        return 0
    children: list[subprocess.Popen[bytes]] = []
    stopped = _forward_signals(children)  # before the claim: whoever reads it may ask us to stop at once
    claim = {"attempt": attempt, "pid": os.getpid(), "started_at": time.time(), "gpus": _gpus()}
    run_folder.write(folder / run_folder.SUPERVISOR, claim)  # before the job: a crash between never runs it unclaimed
    child = _start(folder, spec, lock)
    children.append(child)
    if stopped:
        launching.signal_group(child.pid, signal.SIGTERM)
    run_folder.write(folder / run_folder.SUPERVISOR, {**claim, "job_pid": child.pid})
    code = _wait(child, stopped)
    launching.end(child)
    ended = {"attempt": attempt, "code": code, "cancelled": bool(stopped), "finished_at": time.time()}
    run_folder.write(folder / run_folder.EXIT, ended)
    return 0


def _lock(folder: Path, attempt: int) -> int | None:
    """The run's lock, waiting for an earlier attempt's supervisor to leave; None when this attempt has one already."""
    deadline = time.monotonic() + HANDOVER_SECONDS
    while (lock := run_folder.take_lock(folder)) is None:
        started = run_folder.read(folder / run_folder.SUPERVISOR).get("attempt")
        if started == attempt or time.monotonic() > deadline:
            return None
        time.sleep(0.05)
    return lock


def _start(folder: Path, spec: dict[str, Any], lock: int) -> subprocess.Popen[bytes]:
    with (folder / run_folder.LOG).open("ab") as log:
        return subprocess.Popen(
            launching.command(_processes(spec), folder / run_folder.SPEC),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(lock,),
            cwd=spec["project_dir"],
        )


def _processes(spec: dict[str, Any]) -> int:
    workers = int(spec.get("resources", {}).get("workers", 1))
    return launching.launched(workers, str(spec.get("work", {}).get("framework", "")))


def _forward_signals(children: list[subprocess.Popen[bytes]]) -> list[float]:
    """Pass a request to stop on to the job's process group; the list that is returned holds when it came."""
    requested: list[float] = []

    def forward(_: int, __: FrameType | None) -> None:
        requested.append(time.monotonic())
        for child in children:
            launching.signal_group(child.pid, signal.SIGTERM)

    signal.signal(signal.SIGTERM, forward)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    return requested


def _wait(child: subprocess.Popen[bytes], stopped: list[float]) -> int:
    while True:
        try:
            return child.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            if stopped and time.monotonic() - stopped[0] > launching.GRACE_SECONDS:
                launching.signal_group(child.pid, signal.SIGKILL)


def _gpus() -> list[str]:
    return [gpu for gpu in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if gpu]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
