"""A program that a job runs beside itself: started, listened to, and ended with the job with all that it started."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from studio.core.jobspec import VARIABLE, JobSpec
from studio.core.secrets import maybe_secret, redact
from studio.jobs import launching, offspring
from studio.jobs.hiding import Hide

TICK_SECONDS = 0.2
KEPT_LINES, LONGEST_WORDS = 50, 300
_SECRET = re.compile(
    r"(?:MLFLOW|STUDIO|CDSW_API|CML_API)_?|.*(?:TOKEN|PASSWORD|PASSWD|SECRET|CREDENTIAL|_KEY|STATE_URL)"
)
"""Names of variables that may hold a secret, whosever it is, or say where the job reports to."""
_PROXY = re.compile(r"(?i)\w*_proxy\Z")
"""Without them nothing is reached, password in the address or not."""
_BAR = re.compile(r"(?<!\d)\d{1,3}%\|[^|]*\| *[\d.]+\w?/[\d.?]+\w? \[")
"""As tqdm draws them: `` 30%|███   | 3/10 [00:01<00:02]``."""
_STAMP = re.compile(r"^\[[\d-]+ [\d:,]+\] ")


@dataclass(slots=True)
class Spoken:
    """The last lines of what a program printed, progress bars left out and secrets hidden."""

    hide: Hide = redact
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))

    def hear(self, stream: IO[bytes]) -> None:
        """Pass everything on to the job's log until the stream ends."""
        for raw in stream:
            for part in raw.decode(errors="replace").split("\r"):
                line = self.hide(part.rstrip())
                if line and not _BAR.search(line):
                    self.lines.append(line)
                    with contextlib.suppress(OSError):  # a full disk must not stop the program
                        print(line, flush=True)

    @property
    def reason(self) -> str:
        """The last line that names an error; "" where there is none."""
        faults = [line for line in self.lines if re.match(r"[\w.]*(Error|Exception|Interrupt)\b", _STAMP.sub("", line))]
        own = [line for line in faults if "CalledProcessError" not in line and "ChildFailedError" not in line]
        return (own or faults or [""])[-1]

    def words(self, lines: int = 1) -> str:
        """The error that it names, else its last lines; "" for a program that said nothing."""
        return (self.reason or " | ".join(line.strip() for line in list(self.lines)[-lines:]))[:LONGEST_WORDS]


def without_secrets(spec: JobSpec) -> dict[str, str]:
    """The job's own environment for a program that needs none of its secrets and reports to the job only."""
    named = {*spec.secrets.values(), spec.tracking.tracking_uri.removeprefix(VARIABLE)}
    return {
        name: value
        for name, value in os.environ.items()
        if name not in named and not _SECRET.match(name) and (_PROXY.match(name) or not maybe_secret(value))
    }


def run(
    line: list[str], environ: Mapping[str, str], folder: Path, look: Callable[[], None], hide: Hide = redact
) -> tuple[int, Spoken]:
    """Run to the end, calling ``look`` all the while; exit code, and what was said. Whatever stops this, stops all, and
    nothing that the program started outlives it."""
    offspring.adopt()
    family, spoken = offspring.Family(), Spoken(hide)
    child = subprocess.Popen(
        line, env=dict(environ), cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, preexec_fn=launching.tied(),
    )  # fmt: skip
    if child.stdout is None:
        raise AssertionError("a pipe was asked for")
    listener = threading.Thread(target=spoken.hear, args=(child.stdout,), daemon=True)
    listener.start()
    try:
        while not _has_ended(child):
            if not offspring.ADOPTS:
                family.grow()
            look()
    finally:
        family.end(child)
        listener.join(timeout=offspring.GRACE_SECONDS)
    look()
    return child.returncode, spoken


def _has_ended(child: subprocess.Popen[bytes]) -> bool:
    try:
        child.wait(TICK_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True


def ended(code: int) -> str:
    """How a program failed, in words; a negative code is a signal."""
    if code > 0:
        return f"ended with exit code {code}"
    killed = signal.Signals(-code).name
    return f"was killed by {killed}" + (" (out of memory?)" if killed == "SIGKILL" else "")
