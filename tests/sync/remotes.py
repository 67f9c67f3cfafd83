"""A repository with a branch, and a clone of it in which sync runs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import projects
from tests.cli.front_door import environment
from tests.projects import Document

IDENTITY = ("-c", "user.name=ada", "-c", "user.email=ada@example.org")
PATIENCE = 60.0
"""Seconds after which what should have happened counts as never happening."""


@dataclass(frozen=True, slots=True)
class Remote:
    """``origin`` is bare, ``work`` is where commits are made, ``clone`` is where sync runs."""

    folder: Path

    @property
    def origin(self) -> Path:
        return self.folder / "origin.git"

    @property
    def clone(self) -> Path:
        return self.folder / "clone"

    @property
    def work(self) -> Path:
        return self.folder / "work"

    def commit(self, documents: Iterable[Document], settings: str = projects.SETTINGS) -> str:
        """Push a project; the commit."""
        projects.write(self.work, documents, settings)
        return self.push()

    def push(self) -> str:
        """Push what is in the work folder; the commit."""
        git(self.work, "add", "--all")
        git(self.work, *IDENTITY, "commit", "--quiet", "--message", "change")
        git(self.work, "push", "--quiet", "--force", "origin", "HEAD:main")
        return git(self.work, "rev-parse", "HEAD")

    def head(self) -> str:
        return git(self.clone, "rev-parse", "HEAD")


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=environment(), capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.strip()


def remote(folder: Path, documents: Iterable[Document], settings: str = projects.SETTINGS) -> Remote:
    made = Remote(folder)
    folder.mkdir()
    git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(made.origin))
    git(folder, "init", "--quiet", "--initial-branch=main", str(made.work))
    git(made.work, "remote", "add", "origin", str(made.origin))
    (made.work / ".gitignore").write_text(".studio/\n.backend/\n")
    made.commit(documents, settings)
    git(folder, "clone", "--quiet", str(made.origin), str(made.clone))
    return made


@dataclass(slots=True)
class Daemon:
    """``studio sync --json`` in a process of its own, whose jobs last as long as they are told to."""

    root: Path
    process: subprocess.Popen[str]

    @classmethod
    def start(cls, root: Path, seconds: float, *arguments: str) -> Daemon:
        command = [sys.executable, "-m", "tests.sync.studio", "sync", "--json", "--interval", "1", *arguments]
        variables = environment(JOB_SECONDS=str(seconds), PYTHONUNBUFFERED="1")
        with (root.parent / "sync.log").open("a") as log:
            made = subprocess.Popen(command, cwd=root, env=variables, stdout=log, stderr=subprocess.STDOUT, text=True)
        return cls(root, made)

    def rounds(self) -> list[dict[str, Any]]:
        """What was said so far, by this daemon and those before it."""
        lines = (self.root.parent / "sync.log").read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def until(self, is_so: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        """Wait for the rounds to say something."""
        wait_for(lambda: is_so(self.rounds()), self.rounds)
        return self.rounds()

    def ends(self, signal: int) -> int:
        """Send a signal; the exit code."""
        self.process.send_signal(signal)
        return self.process.wait(PATIENCE)


def wait_for(is_so: Callable[[], bool], told: Callable[[], object] = lambda: "") -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline, told()
        time.sleep(0.05)


def submissions(root: Path) -> list[dict[str, Any]]:
    """The journal's jobs."""
    file = root / ".backend" / "journal.jsonl"
    lines = map(json.loads, file.read_text().splitlines()) if file.exists() else ()
    return [line for line in lines if line["what"] != "asked"]
