"""One project's life: it is applied and killed, once or several times, applied to the end, and looked at."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path

from studio.cli.errors import Exit
from tests.crash import processes, project, remains
from tests.crash.processes import End, Kill
from tests.crash.remains import Remains

APPLY = ["apply", "--yes", "--parallelism", "4"]
PLAN = ["plan", "--detailed-exitcode"]
MOST_APPLIES = 4
"""After the kills. One more than the attempts that a job needs is enough."""


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """A life without kills: how long its first apply takes, the steps of it, and what it leaves."""

    template: Path
    seconds: float
    steps: tuple[str, ...]
    remains: Remains


@dataclass(slots=True)
class Life:
    """``phases`` are what each killed process had done last."""

    root: Path
    phases: list[str] = field(default_factory=list)
    missed: int = 0
    """Kills that came after the command had ended."""
    applies: int = 0
    anew: int = 0
    """Kills of processes that were started with ``python -m``."""
    submissions: int = 0
    waits: int = 0
    """Applies that found the lock of a killed process."""
    faults: list[str] = field(default_factory=list)


def undisturbed(folder: Path) -> Undisturbed:
    template = project.write(folder / "template")
    root = Path(shutil.copytree(template, folder / "undisturbed"))
    first = processes.run(root, APPLY)
    life = Life(root)
    _finish(life)
    assert not life.faults, life.faults
    return Undisturbed(template, first.seconds, first.steps, remains.read(root))


def live(root: Path, before: Undisturbed, kills: list[Kill]) -> Life:
    """Apply and kill as often as told, then apply to the end; whatever is wrong then is in ``faults``."""
    life = Life(Path(shutil.copytree(before.template, root)))
    for kill in kills:
        end = _unlocked(life, APPLY, kill)
        if end.code is None:
            life.phases.append(end.phase)
            life.anew += kill.anew
        else:
            life.missed += 1
            _judge(life, end)
    _finish(life)
    left = remains.read(root)
    life.submissions = left.effects.total()
    life.faults += remains.faults(left, before.remains)
    return life


def _finish(life: Life) -> None:
    """Apply until there is nothing to do, and have that confirmed by a plan."""
    for _ in range(MOST_APPLIES):
        end = _unlocked(life, APPLY)
        life.applies += 1
        _judge(life, end)
        if end.code == Exit.OK:
            break
    planned = processes.run(life.root, PLAN)
    if planned.code != Exit.OK:
        life.faults.append(
            f"after {life.applies} applies the plan is not empty ({planned.code}): {planned.output[-2000:]}"
        )


def _judge(life: Life, end: End) -> None:
    """An apply may end well, or with failed jobs; nothing else."""
    if end.code not in (Exit.OK, Exit.FINDINGS):
        life.faults.append(f"apply ended with {end.code} after {end.phase!r}: {end.output[-2000:]}")


def _unlocked(life: Life, arguments: list[str], kill: Kill | None = None) -> End:
    """Run a command; where a killed process left its lock, again a moment later."""
    deadline = time.monotonic() + processes.PATIENCE
    while True:
        end = processes.run(life.root, arguments, kill)
        if end.code != Exit.LOCKED or time.monotonic() > deadline:
            return end
        life.waits += 1
        time.sleep(0.02)
