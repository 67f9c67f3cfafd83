"""``studio status --watch``: live lines on a terminal, plain ones elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import click

from studio import inspection
from studio.backends.base import Backend
from studio.core.references import Ref
from studio.inspection import Standing
from studio.report import standings
from studio.state.base import StateReader

PAUSE_SECONDS = 1.0
QUIET_SECONDS = 10.0
"""Between two lines about one job's progress where there is no terminal."""


@dataclass(slots=True)
class Watch:
    """Prints what is new since the last look. ``screen`` is a live display, or None."""

    screen: Any
    _shown: dict[tuple[str, int], tuple[str, float]] = field(default_factory=dict)

    def show(self, found: Sequence[Standing]) -> None:
        if self.screen is not None:
            lines = _text("\n".join(map(_line, found)) or "waiting for what apply does next")
            lines.no_wrap, lines.overflow = True, "ellipsis"
            self.screen.update(lines)
            return
        now = time.monotonic()
        for each in found:
            key = _key(each)
            said = f"{each.state} {_phase(each)}"
            before, last = self._shown.get(key, ("", 0.0))
            if said != before or now - last >= QUIET_SECONDS:
                self._shown[key] = (said, now)
                click.echo(_line(each))

    def say(self, line: str) -> None:
        if self.screen is not None:
            self.screen.console.print(_text(line))
        else:
            click.echo(line)


def until_nothing_runs(state: StateReader, backend: Backend) -> None:
    """Watch while a job runs or an apply is under way; KeyboardInterrupt passes."""
    with _screen() as screen:
        watch, before = Watch(screen), dict[tuple[str, int], Ref]()
        while True:
            found = [inspection.under_way(run, backend) for run in reversed(state.active())]
            watch.show(found)
            _tell_ended(before, found, state, watch)
            before = {_key(each): each.ref for each in found}
            if not (inspection.awaited(found) or _is_held(state)):
                return
            time.sleep(PAUSE_SECONDS)


def _tell_ended(
    before: dict[tuple[str, int], Ref], found: Sequence[Standing], state: StateReader, watch: Watch
) -> None:
    """What an apply closed since the last look."""
    for key in sorted(before.keys() - {_key(each) for each in found}):
        ref = before[key]
        run = next((run for run in state.runs(ref) if (run.key, run.attempt) == key), None)
        if run:
            watch.say(f"  {ref}: {run.status.value}")


def _is_held(state: StateReader) -> bool:
    """Whether somebody applies: the next job may be a moment away."""
    lease = state.lease()
    return lease is not None and lease.left > 0


def _key(standing: Standing) -> tuple[str, int]:
    return (standing.run.key, standing.run.attempt) if standing.run else ("", 0)


def _phase(standing: Standing) -> str:
    return standing.live.progress.phase if standing.live and standing.live.progress else ""


def _line(standing: Standing) -> str:
    return f"  {standing.ref}: {standing.state} {standings.headline(standing)}".rstrip()


class _NoScreen:
    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


def _screen() -> Any:
    if not sys.stdout.isatty():
        return _NoScreen()
    from rich.live import Live

    return Live(refresh_per_second=4, transient=True)


def _text(line: str) -> Any:
    from rich.text import Text

    return Text.from_ansi(line)
