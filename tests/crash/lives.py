"""One project's life: a command is killed in it, once or several times, then run to its end, and all is looked at."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from studio.cli.errors import Exit
from tests.crash import processes, project, remains
from tests.crash.processes import End, Kill
from tests.crash.remains import Remains
from tests.crash.scenarios import APPLY, Scenario

PLAN = ("plan", "--detailed-exitcode")
MOST_RUNS = 4
"""Of a command after the kills. One more than the attempts that a job needs is enough."""


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """A life without kills: how long its command takes, the steps of it, and what it leaves.

    ``needed`` is what there must be in the end; ``allowed`` also has what was begun before the manifests moved on.
    """

    scenario: Scenario
    template: Path
    seconds: float
    steps: tuple[str, ...]
    needed: Remains
    allowed: Remains


@dataclass(slots=True)
class Life:
    """``phases`` are what each killed process had done last."""

    root: Path
    state: str = ""
    """The URL of its database; a file in the project when empty."""
    phases: list[str] = field(default_factory=list)
    missed: int = 0
    """Kills that came after the command had ended."""
    runs: int = 0
    """Of commands, after the kills."""
    anew: int = 0
    """Kills of processes that were started with ``python -m``."""
    submissions: int = 0
    waits: int = 0
    """Commands that found the lock of a killed process."""
    faults: list[str] = field(default_factory=list)


def undisturbed(folder: Path, scenario: Scenario) -> Undisturbed:
    """Live without kills: once with all that happens and, where manifests move on, once with what they became alone."""
    template = project.write(folder / "template", scenario.documents(), scenario.backend)
    if scenario.applied:
        _complete(Life(template), APPLY, (Exit.OK,))
    scenario.begin(template)
    whole = Life(Path(shutil.copytree(template, folder / "whole")))
    first = processes.run(whole.root, scenario.command)
    if scenario.early:
        _complete(whole, scenario.command, scenario.done)
    _end(whole, scenario)
    least = Life(Path(shutil.copytree(template, folder / "least")))
    _end(least, scenario)
    assert not whole.faults + least.faults, whole.faults + least.faults
    needed, allowed = (remains.read(life.root) for life in (least, whole))
    return Undisturbed(scenario, template, first.seconds, first.steps, needed, allowed)


def live(root: Path, before: Undisturbed, kills: Sequence[Kill], state: str = "") -> Life:
    """Kill as often as told, then let it end; whatever is wrong then is in ``faults``."""
    life = Life(Path(shutil.copytree(before.template, root)), state)
    for kill in kills:
        ended = _unlocked(life, before.scenario.command, kill)
        if ended.code is None:
            life.phases.append(ended.phase)
            life.anew += kill.anew
        else:
            life.missed += 1
            _judge(life, ended, before.scenario.done)
    _end(life, before.scenario)
    left = remains.read(root, state)
    life.submissions = left.effects.total()
    life.faults += remains.faults(left, before.needed, before.allowed)
    return life


def _end(life: Life, scenario: Scenario) -> None:
    """Let the command end, and have a plan confirm that there is nothing to do."""
    if scenario.early:
        scenario.change(life.root)
    _complete(life, scenario.command, scenario.done)
    if not scenario.early:
        scenario.change(life.root)
    planned = processes.run(life.root, PLAN, state=life.state)
    if planned.code != Exit.OK:
        told = planned.output[-2000:]
        life.faults.append(f"the plan is not empty after {life.runs} commands ({planned.code}): {told}")


def _complete(life: Life, command: Sequence[str], done: Sequence[int]) -> None:
    """Run a command until it has done all it should."""
    for _ in range(MOST_RUNS):
        end = _unlocked(life, command)
        life.runs += 1
        _judge(life, end, done)
        if end.code in done:
            break


def _judge(life: Life, end: End, done: Sequence[int]) -> None:
    """A command may end well, or with failed jobs; nothing else."""
    if end.code not in (*done, Exit.FINDINGS):
        life.faults.append(f"a command ended with {end.code} after {end.phase!r}: {end.output[-2000:]}")


def _unlocked(life: Life, command: Sequence[str], kill: Kill | None = None) -> End:
    """Run a command; where a killed process left its lock, again a moment later."""
    deadline = time.monotonic() + processes.PATIENCE
    while True:
        end = processes.run(life.root, command, kill, life.state)
        if end.code != Exit.LOCKED or time.monotonic() > deadline:
            return end
        life.waits += 1
        time.sleep(0.02)
