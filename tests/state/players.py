"""Other processes that work with a state, each step when told to."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

from sqlalchemy import Engine

from studio.state.base import Operation
from studio.state.lease import break_lease
from studio.state.sql import SqlState
from tests.projects import ROOT

PROLOGUE = """
import sys
from pathlib import Path
from studio.core.errors import LeaseLostError, StateLockedError
from studio.core.references import Ref
from studio.state.base import Record, RecordStatus
from studio.state.lease import held
from studio.state.sql import open_engine

url, root, *more = sys.argv[1:]

def say(word):
    print(word, flush=True)
    sys.stdin.readline()

def record(name):
    return Record(Ref("Dataset", name), "uid", {}, {}, "f" * 64, {}, RecordStatus.READY)
"""
RACER = """
for round in range(2):
    say("ready")
    engine = open_engine(url, Path(root))
    try:
        with held(engine, "prod", "studio apply"):
            say("won")
    except StateLockedError:
        say("locked")
    engine.dispose()
"""
"""Twice races for the lock of ``prod``."""
WRITER = """
engine = open_engine(url, Path(root))
try:
    with held(engine, "default", "studio apply", seconds=float(more[0])) as state:
        state.save_record(record("first"))
        say("written")
        with state.together():
            state.save_record(record("second"))
            say("writing")
        say("committed")
except LeaseLostError as error:
    say(error.message)
"""
"""Writes a record, then a second one in a transaction that stays open; its lease lasts as long as it is told."""


def broken(engine: Engine, environment: str) -> bool:
    """Whether the lock that is seen now was taken away, by ``admin``."""
    seen = SqlState(engine, environment).lease()
    note = Operation(
        str(uuid.uuid4()), environment, "state unlock", "admin", "", "", "", "succeeded", {"lock": "broken"}
    )
    return seen is not None and break_lease(engine, seen, note)


class Player:
    """A process that waits for a line after each word it says."""

    def __init__(self, program: str, url: str, root: Path, *more: str) -> None:
        pipe = subprocess.PIPE
        command = [sys.executable, "-c", PROLOGUE + program, url, str(root), *more]
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environ)

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def word(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def end(self) -> str:
        """What it complained of."""
        return self.process.communicate(timeout=60)[1]
