"""What a person sees while apply runs: live bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import click

from studio.apply.outcome import Ending, Outcome
from studio.core.event import Event
from studio.plan.actions import Action
from studio.report import outcomes, telling
from studio.report.plain import plain
from studio.report.sparkline import sparkline

FEW = 3
WIDE, NARROW = 120, 70
"""Columns of a terminal: from the first on a bar has its full length, below the second there is none."""
COUNTED = 26
"""Columns for the spinner, the steps, the time and what is between them."""
QUIET_SECONDS = 10.0
"""Between two lines of one job where there is no terminal."""


@dataclass(slots=True)
class Display:
    """Watches an apply. ``live`` draws bars; otherwise lines are printed, sparsely."""

    live: bool
    _bars: Any = None
    _tasks: dict[str, Any] = field(default_factory=dict)
    _shown: dict[str, tuple[float, str]] = field(default_factory=dict)
    _losses: dict[str, list[float]] = field(default_factory=dict)
    _repeated: Counter[str] = field(default_factory=Counter)

    @property
    def running(self) -> list[str]:
        """Names of the jobs under way."""
        return sorted(self._shown)

    def __enter__(self) -> Self:
        if self.live:
            self._bars = _bars()
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop drawing."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def started(self, action: Action, message: str) -> None:
        name = str(action.ref)
        self._shown[name] = (0.0, "")
        if self._bars is not None:
            self._tasks[name] = self._bars.add_task(name, total=None, status="starting")
        else:
            self._print(f"  {name}: {plain(message)}")

    def waiting(self, action: Action, message: str) -> None:
        """The same words about the first few only: a thousand jobs may wait for the same."""
        message = plain(message)
        self._repeated[message] += 1
        if self._repeated[message] <= FEW:
            self._print(f"  {action.ref}: {message}")
        elif self._repeated[message] == FEW + 1:
            self._print(f"  … and more: {message}")

    def progressed(self, action: Action, event: Event) -> None:
        name = str(action.ref)
        if event.loss is not None and math.isfinite(event.loss) and event.phase == "train":
            self._losses.setdefault(name, []).append(event.loss)
        if self._bars is not None:
            curve = sparkline(self._losses.get(name, ()), 24 if self._bars.console.width >= WIDE else 8)
            status = f"{curve} {telling.numbers(event)}".strip()
            self._bars.update(self._tasks[name], completed=event.step or 0, total=event.total, status=status)
            return
        last, phase = self._shown.get(name, (0.0, ""))
        now = time.monotonic()
        if event.phase != phase or now - last >= QUIET_SECONDS:
            self._shown[name] = (now, event.phase)
            self._print(f"  {name}: {telling.progress(event)}")

    def finished(self, outcome: Outcome) -> None:
        name = str(outcome.action.ref)
        self._shown.pop(name, None)
        if self._bars is not None and name in self._tasks:
            self._bars.remove_task(self._tasks.pop(name))
        if outcome.ending is not Ending.SKIPPED:
            self._print(outcomes.line(outcome))

    def _print(self, text: str) -> None:
        if self._bars is not None:
            from rich.text import Text

            self._bars.console.print(Text.from_ansi(text))
        else:
            click.echo(text)


def _bars() -> Any:
    """One line a job, however narrow the terminal: what does not fit is cut, never wrapped."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.table import Column

    console = Console()
    length = 24 if console.width >= WIDE else 10 if console.width >= NARROW else 0
    name = max(12, console.width // 3)
    status = max(4, console.width - name - length - COUNTED)
    return Progress(
        SpinnerColumn(),
        TextColumn("[bold]{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis", max_width=name)),
        *([BarColumn(bar_width=length)] if length else []),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        TimeElapsedColumn(table_column=Column(no_wrap=True)),
        TextColumn(
            "{task.fields[status]}",
            markup=False,
            table_column=Column(no_wrap=True, overflow="ellipsis", max_width=status),
        ),
        console=console,
        transient=True,
    )
