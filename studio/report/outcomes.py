"""How an apply ended, as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import click

from studio.apply import FINE, Ending, Outcome
from studio.report.plain import plain

_COLORS = {
    Ending.DONE: "green",
    Ending.REUSED: "cyan",
    Ending.SKIPPED: "white",
    Ending.FAILED: "red",
    Ending.MISSED: "red",
    Ending.BLOCKED: "yellow",
    Ending.HELD: "yellow",
}


def line(outcome: Outcome) -> str:
    """One action's end on one line."""
    color = _COLORS[outcome.ending]
    mark = "✓" if outcome.ending in FINE else "✗"
    text = f"{click.style(mark, fg=color)} {outcome.action.ref}: {click.style(outcome.ending.value, fg=color)}"
    return f"{text} — {plain(outcome.message)}" if outcome.message else text


def summary(outcomes: Iterable[Outcome]) -> str:
    """What was done, what failed, what was held up by it, and what to do."""
    ended = [outcome for outcome in outcomes if outcome.ending is not Ending.SKIPPED]
    counted = Counter(outcome.ending for outcome in ended)
    bad = [outcome for outcome in ended if outcome.ending not in FINE]
    parts = ", ".join(f"{counted[ending]} {ending.value}" for ending in Ending if counted[ending])
    title = click.style("Apply failed: " if bad else "Applied: ", fg="red" if bad else "green", bold=True)
    lines = ["", f"{title}{parts or 'nothing'}."]
    for outcome in bad:
        lines.append(f"  {outcome.action.ref}: {outcome.ending.value}: {plain(outcome.message)}")
        if outcome.hint:
            lines.append(f"      {plain(outcome.hint)}")
    return "\n".join(lines)


def interrupted(running: Iterable[str]) -> str:
    """After Ctrl-C: what goes on without us."""
    names = ", ".join(running)
    if not names:
        return "\nStopped. What was done is recorded; the next apply goes on from here."
    return (
        f"\nStopped waiting. Still running: {names}\n  'studio apply' attaches again; 'studio logs NAME' shows the log"
    )
