"""``events.jsonl``: what a job tells while it runs, one JSON object a line, only ever appended to."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self, TypedDict, Unpack

from pydantic import ValidationError

from studio.core.event import Event

TAIL_BYTES = 8192


class Progress(TypedDict, total=False):
    """The optional numbers of an Event."""

    step: int
    total: int
    loss: float
    eval_loss: float
    learning_rate: float
    gradient_norm: float
    tokens_per_second: float
    memory_bytes: float
    gpu_memory_bytes: float
    eta_seconds: float


class EventLog:
    """Appends events and mirrors them on stdout. ``muted`` (other ranks of a distributed run) writes nothing."""

    def __init__(self, path: Path, muted: bool = False) -> None:
        self._muted = muted
        self._stream = None
        if not muted:
            _drop_torn_line(path)
            self._stream = path.open("a", encoding="utf-8", buffering=1)

    def write(self, phase: str, message: str = "", **progress: Unpack[Progress]) -> None:
        """Append one event; ``phase`` names the stage."""
        if self._stream is None:
            return
        said = message.encode("utf-8", "replace").decode()  # half a surrogate, as a cut emoji leaves, is no text
        event = Event(time=time.time(), phase=phase, message=said, **progress)
        self._stream.write(event.model_dump_json(exclude_none=True) + "\n")
        print(_line(event), flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            self._stream.close()


def read(path: Path) -> list[Event]:
    """The events so far; a last line still being written is left out, a missing file has none."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return [Event.model_validate_json(line) for line in lines]


def last(path: Path) -> Event | None:
    """The last complete line, if there is one; None for a line of another version of studio, too: progress is not worth
    more."""
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - TAIL_BYTES))
            lines = stream.read().split(b"\n")[:-1]
    except FileNotFoundError:
        return None
    try:
        return Event.model_validate_json(lines[-1]) if lines else None
    except ValidationError:
        return None


def _drop_torn_line(path: Path) -> None:
    """A killed attempt may have left half a line; the next attempt appends after the last whole one."""
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as stream:
            stream.truncate(whole)


def _line(event: Event) -> str:
    values = event.model_dump(exclude_none=True, exclude={"time", "phase", "message"})
    parts = [f"{name} {value:.6g}" if isinstance(value, float) else f"{name} {value}" for name, value in values.items()]
    return " ".join(part for part in (f"[{event.phase}]", event.message, *parts) if part)
