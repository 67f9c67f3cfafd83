"""Processes that race for a lock, each step when told to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.projects import ROOT

PROGRAM = """
import sys
from pathlib import Path
from studio.core.errors import StateLockedError
from studio.state.lease import held
from studio.state.sql import open_engine

def say(word):
    print(word, flush=True)
    sys.stdin.readline()

for round in range(2):
    say("ready")
    engine = open_engine(sys.argv[1], Path(sys.argv[2]))
    try:
        with held(engine, "prod", "studio apply"):
            say("won")
    except StateLockedError:
        say("locked")
    engine.dispose()
"""


class Racer:
    """A process that twice races for the lock of ``prod``; it waits for a line after each word it says."""

    def __init__(self, url: str, root: Path) -> None:
        pipe = subprocess.PIPE
        command = [sys.executable, "-c", PROGRAM, url, str(root)]
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environ)

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def word(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self) -> str:
        """What it complained of."""
        return self.process.communicate(timeout=60)[1]
