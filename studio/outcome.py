"""How actions end, as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from studio.plan import Action


class Ending(StrEnum):
    """How an action ended."""

    DONE = "done"
    REUSED = "reused"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost sight of"
    BLOCKED = "blocked"
    HELD = "held back"
    UNSTARTED = "not started"
    SKIPPED = "nothing to do"
    MISSED = "done, gate missed"


UNBLOCKS = frozenset({Ending.DONE, Ending.REUSED, Ending.SKIPPED, Ending.MISSED})
"""Endings after which dependants go on; a missed gate holds back only the exports that require it."""
FINE = UNBLOCKS - {Ending.MISSED}
FAILURES = frozenset({Ending.FAILED, Ending.CANCELLED, Ending.LOST, Ending.MISSED})
"""Endings that are no other action's consequence."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One action's end: what happened, in words, and what to do next."""

    action: Action
    ending: Ending
    message: str = ""
    hint: str = ""
    attached: bool = False
    """An earlier apply had started the job."""
    has_log: bool = False
