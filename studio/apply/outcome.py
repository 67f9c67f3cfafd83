"""How actions end, as values, and who is told of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from studio.core.event import Event
from studio.core.jobresult import JobResult, TrainingOutput
from studio.core.references import Ref
from studio.plan.actions import Action, Verb


class Ending(StrEnum):
    """How an action ended."""

    DONE = "done"
    DELETED = "deleted"
    FORGOTTEN = "forgotten"
    REUSED = "reused"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost sight of"
    BLOCKED = "blocked"
    HELD = "held back"
    UNSTARTED = "not started"
    SKIPPED = "nothing to do"
    MISSED = "done, gate missed"


UNBLOCKS = frozenset({Ending.DONE, Ending.DELETED, Ending.FORGOTTEN, Ending.REUSED, Ending.SKIPPED, Ending.MISSED})
"""Endings after which dependants go on; a missed gate holds back only the exports that require it."""
FINE = UNBLOCKS - {Ending.MISSED}
FAILURES = frozenset({Ending.FAILED, Ending.CANCELLED, Ending.LOST, Ending.MISSED})
"""Endings that are no other action's consequence."""

GOOD = {Verb.DELETE: Ending.DELETED, Verb.FORGET: Ending.FORGOTTEN}
"""A good end in the words of the verb, where that is not simply done."""
IMPROVE = "improve the model or the gate, then apply again"


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


def remark(result: JobResult) -> str:
    """What is worth knowing of a job that ended well."""
    made = result.output
    return made.stopped.words if isinstance(made, TrainingOutput) and made.stopped else ""


def first_failure(outcomes: Mapping[Ref, Outcome]) -> Ref | None:
    """What failed first of what was not up to date."""
    new = (each for each in outcomes.values() if each.ending in FAILURES and each.action.verb is not Verb.NONE)
    return next((each.action.ref for each in new), None)


class Watcher(Protocol):
    """Told what happens, as it happens."""

    def started(self, action: Action, message: str) -> None: ...

    def waiting(self, action: Action, message: str) -> None: ...

    def progressed(self, action: Action, event: Event) -> None: ...

    def finished(self, outcome: Outcome) -> None: ...
