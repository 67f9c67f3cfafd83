"""The command line as a user meets it: in this process for most tests, in one of its own for the few that need it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from studio.cli import errors
from studio.cli.main import studio
from tests.projects import ROOT


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command printed and the code it ended with."""

    code: int
    out: str
    err: str


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def ask(folder: Path, *arguments: str) -> Answer:
    """Run a command in this process, in ``folder``, with the exit code that a shell would see."""
    out, err = StringIO(), StringIO()
    with inside(folder), redirect_stdout(out), redirect_stderr(err):
        code = errors.run(lambda: studio.main([*arguments], prog_name="studio", standalone_mode=False))
    return Answer(int(code), out.getvalue(), err.getvalue())


def environment(**variables: str) -> Mapping[str, str]:
    """A quiet environment in which this checkout is found first."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("STUDIO_", "HF_", "GITHUB_"))
    }
    return {**inherited, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", **variables}


def run(folder: Path, *arguments: str, **variables: str) -> Answer:
    """Run a command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "studio", *arguments],
        cwd=folder,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )
    return Answer(done.returncode, done.stdout, done.stderr)
