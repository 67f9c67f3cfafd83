"""What a training script tells while it trains: lines of JSON in a file, read as they come, and passed on."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard, cast

from studio.core.errors import JobError
from studio.jobs.events import EventLog, Progress
from studio.jobs.hiding import Hide
from studio.jobs.training.posting import Post

LONGEST = 1 << 16
"""Bytes of a line; a longer one says something else than how a training goes."""
SHOWN = 2000
"""Characters of a message that are passed on."""
NAME = re.compile(r"(?=.{1,250}\Z)[A-Za-z0-9_][A-Za-z0-9_ -]*([./:][A-Za-z0-9_ -]+)*\Z")
"""Names of metrics that MLflow takes (mlflow 3.17, validation.py): no path that leads up."""
CURVES = (
    "loss",
    "eval_loss",
    "learning_rate",
    "gradient_norm",
    "tokens_per_second",
    "memory_bytes",
    "gpu_memory_bytes",
)
"""Numbers that an event has a place for; others are in MLflow alone."""
AT_ONCE = 50
"""Events of one look; a script that tells more is shown in part, its last line always."""
APART = frozenset({"time", "phase", "message", "step", "total"})


@dataclass(slots=True)
class Told:
    """Follows the file. ``history`` is one entry a line, as the Trainer's; lines of earlier attempts come first."""

    file: Path
    events: EventLog
    post: Post
    hide: Hide
    history: list[dict[str, Any]] = field(default_factory=list)
    _earlier: list[dict[str, Any]] = field(default_factory=list)
    _offset: int = 0
    _rest: bytes = b""
    _step: int = 0
    _complained: set[str] = field(default_factory=set)

    def recall(self) -> None:
        """Read what earlier attempts wrote; what they did beyond the step where this one begins does not count."""
        self._earlier = [entry for line in self._lines() if (entry := self._numbers(self._parsed(line) or {}))]
        self._rest = b""  # half a line of an attempt that was killed

    def follow(self) -> bool:
        """Pass on what is new; whether there was anything. Raises JobError when the loss is not a number."""
        lines = list(self._lines())
        shown: list[Progress] = []
        for line in lines:
            said = self._parsed(line)
            if said is None:
                self._complain("line", f"a line of {self.file.name} is no JSON object and is left out: {_cut(line)}")
                continue
            shown += self._take(said)
        for progress in shown[-1 :: -(len(shown) // AT_ONCE + 1)][::-1]:
            self.events.write("train", **progress)
        return bool(lines)

    def close(self, patience: float) -> None:
        """The end: what earlier attempts told counts, and what still waits is sent, for so many seconds at most."""
        self._resume(self._step + 1 << 53)
        self.post.close(patience)

    @property
    def steps(self) -> int:
        return max((int(entry["step"]) for entry in self.history), default=0)

    def _take(self, said: dict[str, Any]) -> list[Progress]:
        """One line; its numbers as an event, when it has any."""
        loss = said.get("loss")
        if is_number(loss) and not math.isfinite(loss):
            step = said.get("step", self._step)
            raise JobError(f"the loss is {loss} at step {step}: training diverged", "lower the learning rate")
        entry = self._numbers(said)
        if entry:
            if self._earlier and "step" in said:
                self._resume(entry["step"])
            self._note(entry)
        if message := str(said.get("message") or ""):
            self.events.write("train", self.hide(message)[:SHOWN])
        return [self._progress(entry, said)] if entry or "step" in said else []

    def _resume(self, step: int) -> None:
        kept = [entry for entry in self._earlier if entry["step"] < step]
        self._earlier = []
        for entry in kept:
            self._note(entry)

    def _note(self, entry: dict[str, Any]) -> None:
        self.history.append(entry)
        if metrics := {name: value for name, value in entry.items() if name != "step"}:
            self.post.put(metrics, entry["step"])

    def _numbers(self, said: dict[str, Any]) -> dict[str, Any]:
        """The step and every finite number; empty when there is none."""
        if _is_count(said.get("step")):
            self._step = said["step"]
        found = {}
        for name, value in said.items():
            if name in APART or value is None:
                continue
            if not is_number(value) or not math.isfinite(value) or not NAME.match(name):
                self._complain(name, f"{name[:80]!r} is not a finite number under a plain name, and is left out")
                continue
            found[name] = float(value)
        return {**found, "step": self._step} if found else {}

    def _progress(self, entry: dict[str, Any], said: dict[str, Any]) -> Progress:
        """The numbers that an event has a place for."""
        total = said.get("total")
        found = {"total": total} if _is_count(total) else {}
        return cast(Progress, {"step": self._step, **found, **{name: entry[name] for name in CURVES if name in entry}})

    def _parsed(self, line: bytes) -> dict[str, Any] | None:
        try:
            said = json.loads(line) if len(line) <= LONGEST else None
        except (ValueError, RecursionError):
            return None
        return said if isinstance(said, dict) else None

    def _lines(self) -> Iterator[bytes]:
        """Whole lines since the last look; blank ones are skipped."""
        if not self.file.exists():
            return
        with self.file.open("rb") as stream:
            if stream.seek(0, 2) < self._offset:  # the script began the file anew
                self._offset, self._rest = 0, b""
            stream.seek(self._offset)
            content = self._rest + stream.read()
            self._offset = stream.tell()
        *whole, self._rest = content.split(b"\n")
        yield from (line for line in whole if line.strip())

    def _complain(self, about: str, message: str) -> None:
        """Once each: a script that is wrong in every line must not fill the log."""
        if about not in self._complained and len(self._complained) < 20:
            self._complained.add(about)
            self.events.write("train", self.hide(message))


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53


def is_number(value: Any) -> TypeGuard[float]:
    """Whether it becomes a float; integers without end do not."""
    if isinstance(value, bool):
        return False
    return isinstance(value, float) or (isinstance(value, int) and abs(value) < 1 << 1000)


def _cut(line: bytes) -> str:
    text = line.decode("utf-8", "replace")
    return repr(text[:80] + "…" if len(text) > 80 else text)
