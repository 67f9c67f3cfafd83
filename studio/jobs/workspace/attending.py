"""A job's process, attended until it ends: its output copied, a request to stop passed on, nothing left behind."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from studio.core.jobspec import JobSpec
from studio.jobs import launching, threads
from studio.jobs.hiding import hiding
from studio.jobs.workspace import console

TICK_SECONDS = 0.2
DRAIN_SECONDS = 10.0
"""How long the last of the output may take to arrive once the process has ended."""
OWN = {"PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1"}
"""A safe path: a project's own datasets.py must not be taken for the library."""


@dataclass(slots=True)
class Stop:
    """Whether and when this process was asked to stop, in seconds of ``time.monotonic``."""

    at: list[float] = field(default_factory=list)

    def ask(self) -> None:
        self.at.append(time.monotonic())

    @property
    def asked(self) -> bool:
        return bool(self.at)

    @property
    def overdue(self) -> bool:
        return bool(self.at) and time.monotonic() - self.at[0] > launching.GRACE_SECONDS


@contextmanager
def stopping() -> Iterator[Stop]:
    """Requests to stop are noted. An engine may call a script from a thread, where signals cannot be had."""
    stop = Stop()

    def note(_: int, __: FrameType | None) -> None:
        stop.ask()

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass(frozen=True, slots=True)
class Process:
    """What is to be started: its command line, variables, log, and the lock that it shall hold."""

    command: list[str]
    spec: JobSpec
    environ: Mapping[str, str]
    log: Path
    lock: int | None = None


def attend(process: Process, stop: Stop, tick: Callable[[], None]) -> int:
    """Run it to its end, calling ``tick`` all the while; the exit code, or minus the signal that killed it."""
    child = subprocess.Popen(
        process.command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=launching.tied(),  # so that an engine that is started again finds the attempt free
        pass_fds=() if process.lock is None else (process.lock,),
        cwd=process.spec.project_dir,
        env={**process.environ, **threads.environment(process.spec.resources, process.environ), **OWN},
    )
    assert child.stdout is not None
    copying = console.copying(child.stdout, process.log, hiding(process.spec, process.environ))
    try:
        return _wait(child, stop, tick)
    finally:
        launching.end(child)
        child.wait()
        copying.join(DRAIN_SECONDS)


def _wait(child: subprocess.Popen[bytes], stop: Stop, tick: Callable[[], None]) -> int:
    told = False
    while True:
        if stop.asked and not told:
            launching.signal_group(child.pid, signal.SIGTERM)
            told = True
        if stop.overdue:
            launching.signal_group(child.pid, signal.SIGKILL)
        try:
            return child.wait(timeout=TICK_SECONDS)
        except subprocess.TimeoutExpired:
            tick()
