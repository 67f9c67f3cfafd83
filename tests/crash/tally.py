"""What many lives came to, as a table and as JSON."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.crash.lives import Life

GROUPS = (
    ("reading and planning", r"reading"),
    ("opening and migrating", r"connect|create|alter|alembic|nothing"),
    ("operation", r"operations"),
    ("record", r"resources"),
    ("artifact", r"artifacts"),
    ("run", r"runs"),
    ("submission", r"submit"),
    ("other call of the backend", r"find|attempts|poll|capacity|cancel|logs"),
    ("file or process of its own", r"os\.|open|process"),
    ("lock", r"leases|environments"),
)
"""What a killed process had done last, by words in the step's name; the first that fits."""


@dataclass(slots=True)
class Tally:
    """Sums over lives. ``needless`` counts submissions beyond what an undisturbed life needs."""

    scenario: str
    lives: int = 0
    kills: int = 0
    missed: int = 0
    anew: int = 0
    runs: int = 0
    waits: int = 0
    submissions: int = 0
    seconds: float = 0.0
    steps: int = 0
    """Steps of the undisturbed command; each of the first ``steps`` lives is killed at another one."""
    phases: Counter[str] = field(default_factory=Counter)
    faults: dict[str, list[str]] = field(default_factory=dict)

    def add(self, life: Life) -> None:
        self.lives += 1
        self.kills += len(life.phases)
        self.missed += life.missed
        self.anew += life.anew
        self.runs += life.runs
        self.waits += life.waits
        self.submissions += life.submissions
        self.phases.update(life.phases)
        if life.faults:
            self.faults[life.root.name] = life.faults

    @property
    def groups(self) -> dict[str, int]:
        counted: Counter[str] = Counter()
        for phase, times in self.phases.items():
            counted[next((name for name, words in GROUPS if re.search(words, phase)), "other")] += times
        return {name: counted[name] for name, _ in (*GROUPS, ("other", "")) if counted[name]}

    def json(self) -> dict[str, Any]:
        return {
            "scenario": self.scenario, "lives": self.lives, "kills": self.kills,
            "kills_too_late": self.missed, "kills_of_fresh_processes": self.anew,
            "steps_of_the_command": self.steps, "commands_after_the_kills": self.runs, "waits_for_a_lock": self.waits,
            "submissions": self.submissions, "seconds": round(self.seconds, 1), "groups": self.groups,
            "phases": dict(sorted(self.phases.items())), "faults": self.faults,
        }  # fmt: skip

    def text(self) -> str:
        rows = [
            (f"{self.scenario}: project lives", self.lives), ("kills", self.kills),
            *((f"  last done: {name}", times) for name, times in self.groups.items()),
            ("different last steps", len(self.phases)), ("of processes started with python -m", self.anew),
            ("commands after the kills", self.runs), ("waits for a killed holder's lock", self.waits),
            ("jobs submitted", self.submissions),
            ("lives with a fault", len(self.faults)), ("seconds", round(self.seconds)),
        ]  # fmt: skip
        table = "".join(f"{name:<40} {value:>7,}\n" for name, value in rows)
        told = "".join(f"\n{name}\n" + "".join(f"  {fault}\n" for fault in each) for name, each in self.faults.items())
        return table + told
