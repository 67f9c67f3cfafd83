"""How an apply ended, as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import click

from studio.apply.orphans import Settled
from studio.apply.outcome import FINE, Ending, Outcome
from studio.core.references import Ref
from studio.report.advice import Here
from studio.report.findings import plural
from studio.report.plain import plain

_COLORS = {
    Ending.DONE: "green",
    Ending.DELETED: "green",
    Ending.FORGOTTEN: "green",
    Ending.REUSED: "cyan",
    Ending.SKIPPED: "white",
    Ending.FAILED: "red",
    Ending.CANCELLED: "red",
    Ending.LOST: "red",
    Ending.MISSED: "red",
    Ending.BLOCKED: "yellow",
    Ending.HELD: "yellow",
    Ending.UNSTARTED: "yellow",
}
_CONSEQUENCES = (Ending.BLOCKED, Ending.UNSTARTED)
"""Endings that are listed in one line for each cause: there may be hundreds."""


def line(outcome: Outcome) -> str:
    """One action's end on one line."""
    color = _COLORS[outcome.ending]
    mark = "✓" if outcome.ending in FINE else "✗"
    text = f"{click.style(mark, fg=color)} {outcome.action.ref}: {click.style(outcome.ending.value, fg=color)}"
    return f"{text} — {plain(outcome.message.splitlines()[0])}" if outcome.message else text


def summary(outcomes: Iterable[Outcome], here: Here) -> str:
    """What was done, what failed, what was held up by it, and what to do."""
    ended = [outcome for outcome in outcomes if outcome.ending is not Ending.SKIPPED]
    bad = [outcome for outcome in ended if outcome.ending not in FINE]
    title = click.style("Apply failed: " if bad else "Applied: ", fg="red" if bad else "green", bold=True)
    lines = ["", f"{title}{_counts(ended)}."]
    for outcome in bad:
        if outcome.ending not in _CONSEQUENCES:
            lines += _cause(outcome, here)
    lines += _consequences(bad)
    if bad:
        lines.append(f"Once that is mended: {here.command(here.verb)}; what is done is not done again.")
    return "\n".join(lines)


def _counts(ended: Sequence[Outcome]) -> str:
    counted = Counter(outcome.ending for outcome in ended)
    attached = Counter(outcome.ending for outcome in ended if outcome.attached)
    parts = [
        f"{counted[ending]} {ending.value}" + (f" ({attached[ending]} attached)" if attached[ending] else "")
        for ending in Ending
        if counted[ending]
    ]
    return ", ".join(parts) or "nothing"


def _cause(outcome: Outcome, here: Here) -> list[str]:
    ref = str(outcome.action.ref)
    first, *more = outcome.message.splitlines() or [""]
    lines = [f"  {ref}: {outcome.ending.value}: {plain(first)}", *(f"      | {plain(line)}" for line in more)]
    if outcome.hint:
        lines.append(f"      {plain(outcome.hint)}")
    if outcome.ending is Ending.LOST:
        lines.append(f"      to see where it stands: {here.command('status')}")
    elif outcome.has_log and outcome.ending is not Ending.MISSED:
        lines.append(f"      its log: {here.command('logs', ref)}")
    return lines


def _consequences(bad: Sequence[Outcome]) -> list[str]:
    """Who was held up, in one line for each cause."""
    held: dict[str, list[Ref]] = {}
    for outcome in bad:
        if outcome.ending in _CONSEQUENCES:
            held.setdefault(f"{outcome.ending.value} {outcome.message}", []).append(outcome.action.ref)
    return [f"  {cause}: {', '.join(map(str, refs))}" for cause, refs in held.items()]


def detached(running: Sequence[Ref], waiting: Sequence[Ref], here: Here) -> str:
    """After ``--detach``: what goes on without us, what is left, and how to come back."""
    lines = [f"Detached. Running: {', '.join(map(str, running)) or 'nothing'}."]
    if waiting:
        names = ", ".join(map(str, waiting[:5])) + (" …" if len(waiting) > 5 else "")
        lines.append(f"{plural(len(waiting), 'action')} left for the next apply: {names}")
    return "\n".join([*lines, *_ways(running, here)])


def settled(found: Iterable[Settled], here: Here) -> str:
    """What became of the jobs of earlier versions."""
    lines = []
    for each in found:
        cure = f"; to stop it: {here.command('cancel', str(each.run.ref))}" if each.open else ""
        lines.append(f"  {each.run.ref}: the job of an earlier version, {each.run.key}: {plain(each.words)}{cure}\n")
    return "".join(lines)


def interrupted(running: Sequence[str], here: Here) -> str:
    """After Ctrl-C: what goes on without us."""
    if not running:
        return f"\nStopped. What was done is recorded; '{here.command(here.verb)}' goes on from here."
    return "\n".join([f"\nStopped waiting, not training. Still running: {', '.join(running)}", *_ways(running, here)])


def abandoned(running: Sequence[str], here: Here) -> str:
    """After a second Ctrl-C, which leaves at once: also how to end the jobs."""
    cancel = [f"  to cancel: {here.command('cancel', name)}" for name in running]
    lock = "The lock on the state may stay for up to a minute; it expires by itself."
    return "\n".join([interrupted(running, here), *cancel, lock])


def _ways(running: Sequence[object], here: Here) -> list[str]:
    ways = [f"  to attach: {here.command(here.verb)}", f"  to watch: {here.command('status', '--watch')}"]
    return [*ways, *(f"  its log: {here.command('logs', str(name), '--follow')}" for name in running[:3])]
