"""Processes that run one command and are killed: at a step of their own, or from outside at a moment in time.

Most are forked from this process, which has imported studio once; each is a real process with its own connections. Some
are started anew with ``python -m``, as a user would.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import studio
from tests.crash import project, steps
from tests.projects import ROOT

NOT_IMPORTED = ("studio.jobs", "studio.state.migrations", "studio.__main__")
"""Jobs run elsewhere; alembic loads its own scripts."""
STAND_IN = Path(__file__).with_name("stub")
"""Where Python finds what runs in place of the local backend's jobs."""
PATIENCE = 120.0
"""Seconds after which a command that should have ended counts as hanging."""


@dataclass(frozen=True, slots=True)
class Kill:
    """When to kill: at a step (from 1), or after some seconds; neither lets the command end."""

    step: int = 0
    after: float = 0.0
    anew: bool = False
    """A process started with ``python -m``, not forked."""


@dataclass(frozen=True, slots=True)
class End:
    """How a command ended. ``code`` is None when it was killed; ``steps`` are the names of those it reached."""

    code: int | None
    steps: tuple[str, ...]
    seconds: float
    output: str

    @property
    def phase(self) -> str:
        """What it had done last."""
        return self.steps[-1] if self.steps else "reading and planning"


def preload() -> None:
    """Import what commands import, so that a forked process need not."""
    for module in pkgutil.walk_packages(studio.__path__, "studio."):
        if not module.name.startswith(NOT_IMPORTED):
            importlib.import_module(module.name)
    for name in (
        "alembic.command",
        "alembic.config",
        "sqlalchemy.dialects.sqlite",
        "sqlalchemy.dialects.postgresql",
        "psycopg",
    ):
        importlib.import_module(name)


def run(root: Path, arguments: Sequence[str], kill: Kill | None = None, state: str = "") -> End:
    """Run a command in ``root`` to its end, or to its kill; ``state`` is the URL of a database elsewhere."""
    kill = kill or Kill()
    files = root.with_name(f"{root.name}.trace"), root.with_name(f"{root.name}.output")
    for file in files:
        file.unlink(missing_ok=True)
    trace, output = files
    environment = {
        steps.KILL_AT: str(kill.step), steps.TRACE: str(trace), project.STATE: state or project.SQLITE,
        "PYTHONPATH": f"{STAND_IN}{os.pathsep}{ROOT}",
    }  # fmt: skip
    start = time.monotonic()
    pid = (_start if kill.anew else _fork)(root, arguments, environment, output)
    status = _await(pid, kill.after)
    seconds = time.monotonic() - start
    code = None if os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status)
    reached = trace.read_text("utf-8").splitlines() if trace.exists() else []
    return End(code, tuple(reached), seconds, output.read_text("utf-8", "replace") if output.exists() else "")


def _await(pid: int, after: float) -> int:
    """The process's wait status; it is killed ``after`` so many seconds."""
    if after:
        time.sleep(after)
        os.kill(pid, signal.SIGKILL)  # it is not reaped yet, so the number is still its own
    deadline = time.monotonic() + PATIENCE
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return status
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise AssertionError(f"process {pid} did not end within {PATIENCE:.0f} s")
        time.sleep(0.002)


def _fork(root: Path, arguments: Sequence[str], environment: dict[str, str], output: Path) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        os.chdir(root)
        os.environ.update(environment)
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        for standard in (1, 2):
            os.dup2(descriptor, standard)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        from tests.crash.studio import run as run_command

        code = run_command(list(arguments))
    finally:
        sys.stdout.flush()
        os._exit(code)


def _start(root: Path, arguments: Sequence[str], environment: dict[str, str], output: Path) -> int:
    with output.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.studio", *arguments],
            cwd=root,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
        )
    process.returncode = 0  # it is waited for by its number
    return process.pid
