"""``studio sync``."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from studio.cli import options
from studio.cli.errors import Exit

if TYPE_CHECKING:
    from studio.apply.outcome import Outcome
    from studio.core.event import Event
    from studio.plan.actions import Action
    from studio.pursuit import Round
    from studio.workflow.syncing import Sync

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command(epilog="Example: studio sync --interval 60 --ref main --env prod")
@options.project
@options.variables
@click.option("--ref", default="main", show_default=True, metavar="BRANCH", help="Branch to follow.")
@click.option("--remote", default="origin", show_default=True, metavar="NAME", help="Remote of the clone to ask.")
@click.option(
    "--interval",
    default=60,
    show_default=True,
    type=click.IntRange(1, 86_400),
    metavar="SECONDS",
    help="Between two looks at the branch.",
)
@click.option(
    "--online/--offline",
    default=True,
    help="Check names on the Hugging Face Hub and in the CML registry before something is applied, or ask nobody."
    "  [default: online]",
)
@click.option("--once", is_flag=True, help="One round, which waits for no job; for cron.")
@click.option("--prune", is_flag=True, help="Delete what is recorded and has no manifest any more.")
@click.option(
    "--parallelism", default=4, show_default=True, type=click.IntRange(1, 1000), help="Jobs at the same time."
)
@options.as_json
def command(
    folder: Path, environment: str, given: dict[str, str], ref: str, remote: str, interval: int, online: bool,
    once: bool, prune: bool, parallelism: int, as_json: bool,
) -> int:  # fmt: skip
    """Follow a branch in this clone: fetch, check out, plan, and apply each of its commits, round after round.

    Prints a line a round. A commit with errors, or beyond the safety limit, is not taken up: the last good one stays.
    What failed is tried again after twice the time, at most an hour; a new commit at once, even while jobs run.
    Ctrl-C and SIGTERM end it in good order and leave jobs running; .studio/sync.json says how far it is.
    """
    from studio.load.clone import clone, demand_name
    from studio.workflow import syncing

    demand_name(ref, "--ref")
    demand_name(remote, "--remote")
    root = options.root_of(folder)
    course = syncing.Course(root, environment, remote, ref, interval, parallelism, prune, once, online, given)
    came: list[int] = []
    with syncing.alone(root), _stopping(came) as stopped:
        sync = syncing.Sync(course, clone(root, os.environ), Silent(), stopped.is_set, time.time)
        ended = _follow(sync, stopped, as_json)
    if once and not came:
        return _code(ended)
    return Exit.INTERRUPTED if signal.SIGINT in came else Exit.OK


@contextmanager
def _stopping(came: list[int]) -> Iterator[threading.Event]:
    """Set by the first signal, so that a round ends in good order; the second one interrupts it."""
    stopped = threading.Event()

    def stop(number: int, _: FrameType | None) -> None:
        if came:
            raise KeyboardInterrupt
        came.append(number)
        stopped.set()

    before = {each: signal.signal(each, stop) for each in SIGNALS}
    try:
        yield stopped
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _follow(sync: Sync, stopped: threading.Event, as_json: bool) -> Round:
    from studio.pursuit import Ending, pause
    from studio.report import rounds

    interval, lost = sync.course.interval, 0
    while True:
        ended = sync.round()
        click.echo(rounds.to_json(ended) if as_json else rounds.to_text(ended))
        lost = lost + 1 if ended.ending is Ending.UNREACHABLE else 0
        if sync.course.once or stopped.wait(pause(lost, interval) if lost else interval):
            return ended


def _code(ended: Round) -> int:
    from studio.pursuit import GOOD, Ending

    if ended.ending is Ending.LOCKED:
        return Exit.LOCKED
    return Exit.OK if ended.ending in GOOD and not ended.rejected else Exit.FINDINGS


class Silent:
    """Watches nothing: the line of the round says what happened."""

    def started(self, action: Action, message: str) -> None: ...

    def waiting(self, action: Action, message: str) -> None: ...

    def progressed(self, action: Action, event: Event) -> None: ...

    def finished(self, outcome: Outcome) -> None: ...
