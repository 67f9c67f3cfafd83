"""A program that a job runs beside itself: started, listened to, and ended with the job with all that it started."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

from studio.core.jobspec import VARIABLE, JobSpec
from studio.jobs import launching

POLL_SECONDS, GRACE_SECONDS = 0.5, 15.0
"""Between looks; and between the request to stop and the kill, shorter than what the job itself gets."""
KEPT_LINES = 40
_SECRET = re.compile(
    r"(?:MLFLOW|STUDIO|CDSW_API|CML_API)_?|.*(?:TOKEN|PASSWORD|PASSWD|SECRET|CREDENTIAL|_KEY|STATE_URL)"
)
"""Names of variables that may hold a secret, whosever it is, or say where the job reports to."""
_BAR = re.compile(r"\d+%\|.*\|")
_STAMP = re.compile(r"^\[[\d-]+ [\d:,]+\] ")


@dataclass(slots=True)
class Spoken:
    """The last lines of what a program printed, progress bars left out."""

    lines: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))

    def hear(self, stream: IO[bytes]) -> None:
        """Pass everything on to the job's log until the stream ends."""
        for raw in stream:
            for part in raw.decode(errors="replace").split("\r"):
                line = part.rstrip()
                if line and not _BAR.search(line):
                    self.lines.append(line)
                    print(line, flush=True)

    @property
    def reason(self) -> str:
        """The last line that names an error; "" where there is none."""
        faults = [line for line in self.lines if re.match(r"[\w.]*(Error|Exception|Interrupt)\b", _STAMP.sub("", line))]
        own = [line for line in faults if "CalledProcessError" not in line and "ChildFailedError" not in line]
        return (own or faults or [""])[-1]


def without_secrets(spec: JobSpec) -> dict[str, str]:
    """The job's own environment for a program that needs none of its secrets and reports to the job only."""
    named = {*spec.secrets.values(), spec.tracking.tracking_uri.removeprefix(VARIABLE)}
    return {name: value for name, value in os.environ.items() if name not in named and not _SECRET.match(name)}


def run(line: list[str], environ: Mapping[str, str], folder: Path, look: Callable[[], None]) -> tuple[int, Spoken]:
    """Run to the end, calling ``look`` all the while; exit code, and what was said. Whatever stops this, stops all."""
    spoken = Spoken()
    child = subprocess.Popen(
        line, env=dict(environ), cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, preexec_fn=launching.tied(),
    )  # fmt: skip
    if child.stdout is None:
        raise AssertionError("a pipe was asked for")
    listener = threading.Thread(target=spoken.hear, args=(child.stdout,), daemon=True)
    listener.start()
    family = Family(child)
    try:
        while child.poll() is None:
            family.grow()
            look()
            time.sleep(POLL_SECONDS)
    finally:
        family.end()
    listener.join(timeout=GRACE_SECONDS)
    look()
    return child.returncode, spoken


def ended(code: int) -> str:
    """How a program failed, in words; a negative code is a signal."""
    if code > 0:
        return f"ended with exit code {code}"
    killed = signal.Signals(-code).name
    return f"was killed by {killed}" + (" (out of memory?)" if killed == "SIGKILL" else "")


@dataclass(slots=True)
class Family:
    """A process and all that it started, remembered: a launcher that died does not hide its workers."""

    child: subprocess.Popen[bytes]
    known: set[psutil.Process] = field(default_factory=set)

    def grow(self) -> None:
        """Note who is there now."""
        try:
            first = psutil.Process(self.child.pid)
            self.known |= {first, *first.children(recursive=True)}
        except psutil.NoSuchProcess:
            return

    def end(self) -> None:
        """Ask whoever still runs to stop, then kill."""
        self.grow()
        for send in (psutil.Process.terminate, psutil.Process.kill):
            for process in self._alive():
                with contextlib.suppress(psutil.NoSuchProcess):  # it ended in the meantime
                    send(process)
            self._await(GRACE_SECONDS)
        self.child.wait()

    def _await(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self._alive() and time.monotonic() < deadline:
            self.child.poll()  # so that it does not stay as a zombie
            time.sleep(0.05)

    def _alive(self) -> list[psutil.Process]:
        return [each for each in self.known if _runs(each)]


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
