"""How far a clone has followed its branch: a value that survives a restart. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

LONGEST_SECONDS = 3600.0
"""Between two tries of the same commit; a mended machine is found within the hour."""


class Ending(StrEnum):
    """What a round came to."""

    APPLIED = "applied"
    CURRENT = "up to date"
    RUNNING = "left running"
    FAILED = "failed"
    ERRORS = "has errors"
    REFUSED = "refused"
    LOCKED = "locked"
    EDITED = "work tree was edited"
    AHEAD = "clone has commits of its own"
    MISUSED = "wrong command line"
    UNREACHABLE = "unreachable"
    BROKEN = "cannot go on"
    WAITING = "waits"


GOOD = frozenset({Ending.APPLIED, Ending.CURRENT, Ending.RUNNING})
REJECTED = frozenset({Ending.ERRORS, Ending.REFUSED})
"""A commit that comes to this is not taken up; the last good one stays."""
PASSING = frozenset({Ending.LOCKED, Ending.EDITED, Ending.AHEAD, Ending.MISUSED, Ending.UNREACHABLE})
"""Says nothing about the commit: the next round tries again."""


@dataclass(frozen=True, slots=True)
class Round:
    """One look at the branch, at a time in ISO 8601. ``commit`` is the one that was dealt with, "" when none was;
    ``newest`` what the branch names, and ``rejected`` why that is another one."""

    at: str
    commit: str
    ending: Ending
    message: str = ""
    newest: str = ""
    rejected: str = ""


@dataclass(frozen=True, slots=True)
class Try:
    """What became of a commit, how often it failed in a row, and when to try again in seconds since the epoch."""

    ending: Ending
    message: str = ""
    failures: int = 0
    next_try: float = 0.0


@dataclass(frozen=True, slots=True)
class Pursuit:
    """``seen`` is the newest commit, ``good`` the last one that was taken up, ``applied`` the last one that was made
    so to the end."""

    environment: str
    remote: str
    ref: str
    seen: str = ""
    good: str = ""
    applied: str = ""
    updated_at: str = ""
    tries: Mapping[str, Try] = field(default_factory=dict)

    @property
    def rejected(self) -> bool:
        """Whether the newest commit was looked at and not taken up."""
        last = self.tries.get(self.seen)
        return last is not None and last.ending in REJECTED

    def due(self, commit: str, now: float) -> bool:
        """Whether a commit is to be tried now; a new one always is."""
        last = self.tries.get(commit)
        return last is None or last.next_try <= now

    def target(self, now: float) -> str:
        """The commit to deal with now: the newest, else the last good one; "" when all must wait."""
        if self.due(self.seen, now):
            return self.seen
        return self.good if self.rejected and self.good and self.due(self.good, now) else ""

    def after(self, round: Round, now: float, interval: float) -> Pursuit:
        """With what a commit was found to be."""
        if round.ending in PASSING:
            return replace(self, updated_at=round.at)
        before = self.tries.get(round.commit)
        failures = 0 if round.ending in GOOD else (before.failures if before else 0) + 1
        later = now + pause(failures, interval) if failures else 0.0
        good = round.commit if round.ending in GOOD | {Ending.FAILED} else self.good
        done = round.ending in (Ending.APPLIED, Ending.CURRENT)
        tries = {**self.tries, round.commit: Try(round.ending, round.message, failures, later)}
        return replace(
            self,
            good=good,
            applied=round.commit if done else self.applied,
            updated_at=round.at,
            tries={commit: each for commit, each in tries.items() if commit in (self.seen, good)},
        )


def pause(failures: int, interval: float) -> float:
    """Seconds to the next try: twice as long after each failure, at most an hour or the interval."""
    return float(min(interval * 2 ** min(failures - 1, 30), max(LONGEST_SECONDS, interval)))


def read(text: str, fresh: Pursuit) -> Pursuit:
    """What was written before; ``fresh`` when it is about another branch, or damaged: then all is looked at anew."""
    past = _recorded(text, fresh.environment)
    same = past and (past.environment, past.remote, past.ref) == (fresh.environment, fresh.remote, fresh.ref)
    return past if past and same else fresh


def is_damaged(text: str, environment: str) -> bool:
    """Whether it cannot be told what was written of an environment; nothing at all is no damage."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return True
    if not isinstance(found, dict):
        return found is not None
    return environment in found and _recorded(text, environment) is None


def _recorded(text: str, environment: str) -> Pursuit | None:
    try:
        known = json.loads(text)[environment]
        tries = {commit: Try(**{**each, "ending": Ending(each["ending"])}) for commit, each in known["tries"].items()}
        past = Pursuit(**{**known, "tries": tries})
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    texts = (past.seen, past.good, past.applied, past.updated_at, *(each.message for each in tries.values()))
    numbers = [number for each in tries.values() for number in (each.failures, each.next_try)]
    sound = all(isinstance(each, str) for each in texts) and all(isinstance(each, int | float) for each in numbers)
    return past if sound else None


def written(text: str, pursuit: Pursuit) -> str:
    """The file with this pursuit in it; those of other environments stay."""
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        found = {}
    others = found if isinstance(found, dict) else {}
    return json.dumps({**others, pursuit.environment: asdict(pursuit)}, indent=2, sort_keys=True) + "\n"
