"""A training script as a child process: started, watched, and ended with all that it started."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from studio.core.errors import JobError
from studio.jobs import launching, offspring
from studio.jobs.child import ended
from studio.script import VARIABLE

TICK_SECONDS = 0.2
STOP_SECONDS = 15.0
"""Between the request to stop and the kill; less than a backend gives the job."""
LOOK_SECONDS, IDLE_SECONDS, LEAST_BUSY = 30.0, 1800.0, 1.0
"""How often it is looked whether anything computes; a script that tells nothing and computes less than a second of
processor time in half an hour hangs."""
TAIL_LINES, LONGEST_LINE = 50, 300
LOG_HINT = "the log has what it printed; whatever it imports must be installed where jobs run"


@dataclass(frozen=True, slots=True)
class Script:
    """What to run: the file, the JSON file with the job, and the folder to run in."""

    name: str
    file: Path
    job: Path
    place: Path
    environ: Mapping[str, str]


@dataclass(slots=True)
class Pulse:
    """Whether a process still does something; ``told`` is called when the script has said something."""

    last: float = field(default_factory=time.monotonic)
    looked: float = field(default_factory=time.monotonic)
    busy: float = 0.0

    def told(self) -> None:
        self.last = time.monotonic()

    def look(self, pid: int) -> None:
        """Raises JobError for a process that has long done nothing; where nothing tells, none has."""
        now = time.monotonic()
        if now - self.looked < LOOK_SECONDS:
            return
        self.looked = now
        processes = offspring.below(pid) | {pid}
        busy = offspring.seconds(processes)
        if abs(busy - self.busy) > LEAST_BUSY:
            self.busy, self.last = busy, now
        elif now - self.last > IDLE_SECONDS and busy:
            raise JobError(
                f"the script has done nothing for {IDLE_SECONDS / 60:.0f} minutes: no event, no processor time",
                "it waits for something that does not come; one that works elsewhere writes an event now and then",
            )


def run(script: Script, tick: Callable[[Pulse], None]) -> None:
    """Run it to its end, calling ``tick`` all the while. Raises JobError when it does not end well."""
    offspring.adopt()
    kept = offspring.below(os.getpid())
    child = subprocess.Popen(
        [sys.executable, str(script.file), str(script.job)],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=launching.tied(),
        cwd=script.place,
        env=_environment(script),
    )
    assert child.stderr is not None
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    copying = threading.Thread(target=_copy, args=(child.stderr, tail), daemon=True)
    copying.start()
    pulse = Pulse()
    try:
        while (code := _waited(child)) is None:
            tick(pulse)
            pulse.look(child.pid)
    finally:
        _stop(child)
        offspring.end(kept)
        copying.join(TICK_SECONDS * 10)
    tick(pulse)
    if code:
        raise JobError(f"the script {script.name} {ended(code)}{_last_words(tail)}", LOG_HINT)


def _environment(script: Script) -> dict[str, str]:
    """As for the job, but with the script's folder among the places where it finds modules, as always in Python."""
    variables = {name: value for name, value in script.environ.items() if name != "PYTHONSAFEPATH"}
    return {**variables, VARIABLE: str(script.job), "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def _waited(child: subprocess.Popen[bytes]) -> int | None:
    try:
        return child.wait(TICK_SECONDS)
    except subprocess.TimeoutExpired:
        return None


def _stop(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(STOP_SECONDS)
    if child.poll() is None:
        child.kill()
        child.wait()


def _copy(stream: IO[bytes], tail: deque[str]) -> None:
    """Pass on what is printed on the error stream, and remember its end."""
    for line in stream:
        with contextlib.suppress(OSError):  # a full disk must not stop the script
            os.write(sys.stderr.fileno(), line)
        tail.append(line.decode("utf-8", "replace").rstrip())


def _last_words(tail: deque[str]) -> str:
    """The last line that is not blank: of a traceback the one that says what was wrong."""
    last = next((line.strip() for line in reversed(tail) if line.strip()), "")
    return f": {last[:LONGEST_LINE]}" if last else ""
