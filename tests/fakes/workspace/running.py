"""Job runs: each executes its script as a process of its own, or a stand-in of it; so many at once, the rest wait."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO

from tests.fakes.workspace.facts import Record

ENDED = frozenset({"ENGINE_SUCCEEDED", "ENGINE_FAILED", "ENGINE_STOPPED", "ENGINE_TIMEDOUT"})


@dataclass(slots=True, eq=False)
class Run:
    """A job run. ``record`` is what the API shows of it; ``timeout`` is in seconds, 0 for none."""

    record: Record
    script: str
    folder: Path
    environment: Mapping[str, str]
    log: Path
    timeout: float = 0
    process: subprocess.Popen[bytes] | None = None
    verdict: str = ""
    """What the run ends as, whatever its exit code: it was stopped, or ran out of time."""

    @property
    def id(self) -> str:
        return str(self.record["id"])

    @property
    def status(self) -> str:
        return str(self.record["status"])


StandIn = Callable[[Run], int]
"""Does in this process what a script would do in its own, and returns the exit code."""


@dataclass(slots=True)
class Runner:
    """``limit`` bounds how many run at once; with 0 all wait (see ``allow``). ``grace`` is the time in seconds between
    SIGTERM and SIGKILL."""

    clock: Callable[[], datetime]
    limit: int
    grace: float
    stand_in: StandIn | None = None
    succeeded: Callable[[Run], None] = lambda run: None
    """Called when a run succeeded."""
    waiting: deque[Run] = field(default_factory=deque)
    active: dict[Run, threading.Thread] = field(default_factory=dict)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def submit(self, run: Run) -> None:
        with self.changed:
            self._enter(run, "ENGINE_SCHEDULING")
            self.waiting.append(run)
            self._fill()

    def allow(self, limit: int) -> None:
        """Change how many run at once; runs that wait start when there is room."""
        with self.changed:
            self.limit = limit
            self._fill()

    def stop(self, run: Run, verdict: str = "ENGINE_STOPPED") -> None:
        """As a workspace stops a run: SIGTERM to the script, after the grace SIGKILL to all that it started."""
        with self.changed:
            if run in self.waiting:
                self.waiting.remove(run)
                self._enter(run, verdict)
            elif run.status not in ENDED and not run.verdict:
                run.verdict = verdict
                self._enter(run, "ENGINE_STOPPING")
                if run.process:
                    _stop_process(run.process, self.grace)

    def kill(self, run: Run) -> None:
        """The machine under a run dies: no signal that could be handled, no last word."""
        with self.changed:
            if run.process:
                _kill(run.process)

    def close(self) -> None:
        """End whatever still runs."""
        with self.changed:
            self.waiting.clear()
            threads = list(self.active.values())
            for run in self.active:
                run.verdict = run.verdict or "ENGINE_STOPPED"
                if run.process:
                    _kill(run.process)
        for thread in threads:
            thread.join(10)

    def _fill(self) -> None:
        while self.waiting and len(self.active) < self.limit:
            run = self.waiting.popleft()
            self.active[run] = threading.Thread(target=self._live, args=(run,), daemon=True)
            self._enter(run, "ENGINE_STARTING")
            self.active[run].start()

    def _live(self, run: Run) -> None:
        code = 1
        try:
            code = self._perform(run)
        finally:
            with self.changed:
                del self.active[run]
                self._enter(run, run.verdict or ("ENGINE_FAILED" if code else "ENGINE_SUCCEEDED"))
                if run.status == "ENGINE_SUCCEEDED":
                    self.succeeded(run)
                self._fill()

    def _perform(self, run: Run) -> int:
        if self.stand_in is not None:
            with self.changed:
                self._enter(run, "ENGINE_RUNNING")
            return self.stand_in(run)
        with self.changed, run.log.open("wb") as log:
            if run.verdict:
                return 1
            try:
                run.process = process = _start(run, log)
            except OSError as error:  # an environment that is too long for this machine
                log.write(f"{error}\n".encode())
                return 1
            self._enter(run, "ENGINE_RUNNING")
        timer = threading.Timer(run.timeout, self.stop, (run, "ENGINE_TIMEDOUT"))
        if run.timeout:
            timer.start()
        code = process.wait()
        timer.cancel()
        _kill(process)  # what the script left behind goes with the pod
        return code

    def _enter(self, run: Run, status: str) -> None:
        field = FIELDS.get(status)
        if field:
            run.record[field] = self.clock().isoformat().replace("+00:00", "Z")
        run.record["status"] = status
        self.changed.notify_all()


FIELDS = {
    "ENGINE_SCHEDULING": "scheduling_at", "ENGINE_STARTING": "starting_at", "ENGINE_RUNNING": "running_at",
    **dict.fromkeys(ENDED, "finished_at"),
}  # fmt: skip
"""The time that each status sets."""


def _start(run: Run, log: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, run.script], cwd=run.folder, env=dict(run.environment), stdin=subprocess.DEVNULL,
        stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip


def _stop_process(process: subprocess.Popen[bytes], grace: float) -> None:
    """Does not wait: a thread does."""

    def insist() -> None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(grace)
            return
        _kill(process)

    process.terminate()
    threading.Thread(target=insist, daemon=True).start()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The whole group of the process; its leader may be gone already."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
