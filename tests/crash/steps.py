"""Steps that the world outside can see, counted; a process kills itself at the one it was told.

A step is the moment before or after a commit, a statement that writes, or a call of the backend. Between two steps
nothing changes outside the process, so killing at each of them hits every gap between two side effects.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KILL_AT, TRACE = "CRASH_KILL_AT", "CRASH_TRACE"
"""Environment variables: the number of the step that kills (from 1), the file that receives the steps' names."""
READS = ("SELECT", "PRAGMA", "BEGIN", "SET")
FILES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate"}
FENCE = {"leases", "environments"}
"""Tables that every write touches beside its own."""


@dataclass
class Steps:
    """Counts. ``kill_at`` 0 kills nowhere; ``trace`` is a descriptor, -1 for none."""

    kill_at: int = 0
    trace: int = -1
    count: int = 0
    table: str = ""
    """What the transaction under way writes."""

    def reach(self, name: str) -> None:
        self.count += 1
        if self.trace >= 0:
            os.write(self.trace, f"{name}\n".encode())
        if self.count == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def wrote(self, statement: str) -> None:
        """A statement was executed in the transaction under way."""
        words = statement.lower().replace('"', " ").replace("(", " ").split()
        if not words or words[0].upper() in READS:
            return
        table = next((word for word in words[1:] if word not in {"into", "from", "table", "unique", "index"}), "")
        self.table = self.table if table in FENCE and self.table else table
        self.reach(f"after {words[0]} {table}")

    def commit(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """``call`` with a step before and one after it."""

        def stepping(*arguments: Any, **keywords: Any) -> Any:
            self.reach(f"before commit of {self.table or 'nothing'}")
            call(*arguments, **keywords)
            self.reach(f"after commit of {self.table or 'nothing'}")
            self.table = ""

        return stepping


def watch_files(steps: Steps, root: Path) -> None:
    """Whatever changes below the project's own folder of studio, and each process that starts, becomes a step."""
    own = str(root / ".studio")

    def deed(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "subprocess.Popen":
            steps.reach("before a process")
        elif event in FILES or (event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")):
            path = os.fsdecode(arguments[0]) if isinstance(arguments[0], str | bytes | os.PathLike) else ""
            if path.startswith(own) or not path.startswith("/"):  # rmtree names files from inside their folder
                steps.reach(f"before {event} {Path(path).name if event in ('open', 'os.rename') else ''}".rstrip())

    sys.addaudithook(deed)


def from_environment() -> Steps:
    trace = os.environ.get(TRACE)
    descriptor = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644) if trace else -1
    return Steps(int(os.environ.get(KILL_AT, "0")), descriptor)


def watch_database(steps: Steps) -> None:
    """Every connection, every statement that writes and every commit becomes a step."""
    from sqlalchemy import Engine, event
    from sqlalchemy.engine.default import DefaultDialect

    DefaultDialect.do_commit = steps.commit(DefaultDialect.do_commit)  # type: ignore[method-assign]

    @event.listens_for(Engine, "after_cursor_execute")
    def _written(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        steps.wrote(statement)

    @event.listens_for(Engine, "connect")
    def _connected(*_: Any) -> None:
        steps.reach("after connect")
