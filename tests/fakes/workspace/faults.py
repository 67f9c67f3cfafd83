"""What goes wrong between a client and a workspace, by plan or at random: before or after the method did its work.

cml.faults.plan("create_job_run", faults.DROPPED_AFTER, None, faults.busy(2))  # its next three calls
cml.faults.always("get_job_run", faults.NOT_FOUND)
cml.faults.at_random(0.3, seed=7)  # of all calls; half of the faults come after the work was done
"""

from __future__ import annotations

import random
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from tests.fakes.http import Answer
from tests.fakes.workspace.refusal import refusal

Work = Callable[[], Answer]
ANY = "*"


class Kind(StrEnum):
    BUSY = "busy"
    INTERNAL = "internal"
    UNAVAILABLE = "unavailable"
    SLOW = "slow"
    DROPPED = "dropped"
    TRUNCATED = "truncated"
    TWICE = "twice"
    EXPIRED_KEY = "expired-key"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not-found"
    HTML = "html"
    REDIRECT = "redirect"


@dataclass(frozen=True, slots=True)
class Fault:
    """``late`` means that the method did its work first. ``seconds`` is how long a slow answer takes;
    ``retry_after`` is what a busy workspace says in the header of that name ("": nothing), ``location`` where a
    redirection leads."""

    kind: Kind
    late: bool = False
    seconds: float = 0
    retry_after: str = ""
    location: str = "/login"

    @property
    def name(self) -> str:
        return f"{self.kind} after the work" if self.late else str(self.kind)

    def suffered(self, work: Work) -> Answer:
        """The answer that the client gets."""
        match self.kind:
            case Kind.SLOW:
                time.sleep(self.seconds)
                return work()
            case Kind.TWICE:
                first, second = work(), work()
                return second if second.status < 300 else first
            case Kind.TRUNCATED:
                return replace(work(), cut=True)
        if self.late:
            work()
        if self.kind is Kind.BUSY and self.retry_after:
            return refusal(429, "too many requests", **{"Retry-After": self.retry_after})
        if self.kind is Kind.REDIRECT:
            return Answer(302, {"Location": self.location})
        return ANSWERS[self.kind]


ANSWERS = {
    Kind.BUSY: refusal(429, "too many requests"),
    Kind.INTERNAL: refusal(500, "an internal error occurred"),
    Kind.UNAVAILABLE: refusal(503, "upstream connect error or disconnect before headers"),
    Kind.DROPPED: Answer(0, lost=True),
    Kind.EXPIRED_KEY: refusal(401, "Unauthenticated: the API key has expired"),
    Kind.FORBIDDEN: refusal(403, "the user is not allowed to do that"),
    Kind.NOT_FOUND: refusal(404, "not found"),
    Kind.HTML: Answer(200, {"Content-Type": "text/html"}, b"<!doctype html><title>Sign in</title>"),
}
BUSY, INTERNAL, UNAVAILABLE = Fault(Kind.BUSY), Fault(Kind.INTERNAL), Fault(Kind.UNAVAILABLE)
DROPPED, DROPPED_AFTER = Fault(Kind.DROPPED), Fault(Kind.DROPPED, late=True)
TRUNCATED, TWICE, HTML = Fault(Kind.TRUNCATED, late=True), Fault(Kind.TWICE), Fault(Kind.HTML)
EXPIRED_KEY, FORBIDDEN, NOT_FOUND = Fault(Kind.EXPIRED_KEY), Fault(Kind.FORBIDDEN), Fault(Kind.NOT_FOUND)
PASSING = (
    BUSY, INTERNAL, UNAVAILABLE, DROPPED,
    Fault(Kind.INTERNAL, late=True), Fault(Kind.UNAVAILABLE, late=True), DROPPED_AFTER, TRUNCATED,
)  # fmt: skip
"""Faults that pass when the client asks again later; half of them hide that the work was done."""


def slow(seconds: float) -> Fault:
    return Fault(Kind.SLOW, seconds=seconds)


def busy(retry_after: float | str) -> Fault:
    """A workspace that says for how long it wants to be left alone: in seconds, or until when."""
    return Fault(Kind.BUSY, retry_after=str(retry_after))


def redirect(location: str) -> Fault:
    """A sign-in page in front of the workspace, perhaps on another machine."""
    return Fault(Kind.REDIRECT, location=location)


@dataclass(slots=True)
class Faults:
    """The faults of a workspace: those planned for a method come first, then those that it always has, then chance.

    Chance is a matter of the seed, the method and how often it was asked, so that threads do not change it.
    """

    planned: dict[str, deque[Fault | None]] = field(default_factory=dict)
    lasting: dict[str, Fault] = field(default_factory=dict)
    rate: float = 0
    seed: int = 0
    kinds: Sequence[Fault] = PASSING
    only: Collection[str] = ()
    asked: Counter[str] = field(default_factory=Counter)

    def plan(self, method: str, *faults: Fault | None) -> None:
        """One fault for each of the method's next calls, None for none; ``ANY`` for calls of any method."""
        self.planned.setdefault(method, deque()).extend(faults)

    def always(self, method: str, fault: Fault) -> None:
        """Until ``clear``."""
        self.lasting[method] = fault

    def at_random(
        self, rate: float, seed: int = 0, kinds: Sequence[Fault] = PASSING, only: Collection[str] = ()
    ) -> None:
        """A share of all calls, or of those of some methods."""
        self.rate, self.seed, self.kinds, self.only = rate, seed, kinds, only

    def clear(self) -> None:
        self.planned.clear()
        self.lasting.clear()
        self.rate = 0

    def next(self, method: str) -> Fault | None:
        for name in (method, ANY):
            if self.planned.get(name):
                return self.planned[name].popleft()
        for name in (method, ANY):
            if name in self.lasting:
                return self.lasting[name]
        return self._chance(method)

    def _chance(self, method: str) -> Fault | None:
        self.asked[method] += 1
        if not self.rate or (self.only and method not in self.only):
            return None
        dice = random.Random(f"{self.seed} {method} {self.asked[method]}")
        return dice.choice(self.kinds) if dice.random() < self.rate else None
