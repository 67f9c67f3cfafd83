"""Every call to a workspace goes through here: bounded in time, asked again only when that can help.

A busy workspace (429), a broken one (5xx) and a lost connection are asked again, after pauses that grow and differ. A
call that was refused (any other 4xx) is never made again. A call that changes something may have been carried out
though its answer was lost, so before it is made again somebody looks.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from studio.backends.workspace.client import Client
from studio.core.errors import BackendError, RefusedError
from studio.core.secrets import HIDDEN, redact

T = TypeVar("T")
DEADLINE_SECONDS = 60.0
"""For one undertaking, all its calls, repetitions and pauses together; then whoever waits decides."""
AWAY_SECONDS = 10.0
"""The same while nothing was ever heard of the workspace: the address may be wrong, and somebody waits for a word."""
REQUEST_SECONDS = 20.0
"""For one answer."""
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 8.0
LONGEST_SILENCE_SECONDS = 300.0
PAGE_SIZE = 100
MAX_PAGES = 1000
"""A listing that says for ever that there is more is no listing."""
LONGEST_MESSAGE = 400
"""Characters of what a workspace says that are passed on."""
BUSY, NOT_OFFERED = 429, 501


class MissingError(RefusedError):
    """What was asked for is not there (404), or the workspace does not have such things (501)."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a call failed. ``status`` is HTTP's, 0 when there was no answer; ``retry_after`` is in seconds."""

    status: int
    message: str = ""
    retry_after: float = 0.0

    @property
    def is_final(self) -> bool:
        """Whether the same call would fail again."""
        return (300 <= self.status < 500 and self.status != BUSY) or self.status == NOT_OFFERED

    @property
    def is_uncertain(self) -> bool:
        """Whether the call may have been carried out all the same."""
        return self.status != BUSY and not self.is_final


@dataclass(frozen=True, slots=True)
class Connection:
    """A client, the exceptions that it raises when a call fails, and what each of them tells."""

    client: Client
    failures: tuple[type[Exception], ...]
    fault_of: Callable[[Exception], Fault]


@dataclass(slots=True)
class Calls:
    """To the project ``project_id`` of one workspace. ``connect`` is called when the first call is due.

    ``hidden`` are values that no message may show. ``clock`` and ``sleep`` are in seconds, ``jitter`` gives numbers
    from 0 to 1.
    """

    url: str
    project_id: str
    key_variable: str
    connect: Callable[[], Connection]
    hidden: set[str] = field(default_factory=set, repr=False)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random
    deadline: float = DEADLINE_SECONDS
    lost: int = 0
    """How many answers were lost, so that it is not known whether the call was carried out."""
    _connection: Connection | None = field(default=None, repr=False)
    _refusal: RefusedError | None = None
    """The key is not accepted or has no rights: nothing is called any more."""
    _silence: BackendError | None = None
    """The workspace did not answer within a whole deadline: until it does, it is asked once at a time, now and then."""
    _silent_until: float = 0.0
    _began: float | None = None
    """When the undertaking began that is under way."""
    _was_heard: bool = False

    @property
    def client(self) -> Client:
        """Raises StudioError when there can be none."""
        return self._connected().client

    @property
    def is_shut_out(self) -> bool:
        """Whether the key was refused, so that nothing is called any more."""
        return self._refusal is not None

    def apart(self) -> Calls:
        """The same for questions whose refusal says nothing about others."""
        return replace(self, _refusal=None, _began=None)

    @contextmanager
    def budget(self) -> Iterator[None]:
        """All calls within share one deadline; a budget within another one is part of it."""
        if self._began is not None:
            yield
            return
        self._began = self.clock()
        try:
            yield
        finally:
            self._began = None

    @property
    def _left(self) -> float:
        """Seconds until the undertaking is given up."""
        whole = self.deadline if self._was_heard else min(self.deadline, AWAY_SECONDS)
        return (self._began or 0.0) + whole - self.clock()

    def ask(self, what: str, call: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """The answer of a call that may be made twice. ``what`` completes "the workspace refuses to …".

        Raises RefusedError (MissingError for 404), and BackendError when the deadline passes.
        """
        return self._answered(what, None, call, arguments, named)

    def effect(
        self, what: str, look: Callable[[], T | None], call: Callable[..., T], *arguments: Any, **named: Any
    ) -> T:
        """The same for a call that must be carried out once. ``look`` finds what it makes, where it was carried out."""
        return self._answered(what, look, call, arguments, named)

    def pages(
        self, what: str, items: Callable[[Any], Iterable[T] | None], call: Callable[..., Any], *arguments: Any,
        **named: Any,
    ) -> list[T]:  # fmt: skip
        """Everything that a listing holds; ``items`` takes a page's part."""
        found: list[T] = []
        token = ""
        for _ in range(MAX_PAGES):
            more = {"page_token": token} if token else {}
            page = self.ask(what, call, *arguments, page_size=PAGE_SIZE, **more, **named)
            found += items(page) or ()
            token = page.next_page_token or ""
            if not token:
                return found
        raise BackendError(f"the workspace does not come to an end when asked to {what}", "look at it in the workspace")

    def shown(self, text: str) -> str:
        """What the workspace says, without secrets, in one line of bounded length."""
        for value in self.hidden:
            text = text.replace(value, HIDDEN)
        line = " ".join(redact(text).split())
        return line if len(line) <= LONGEST_MESSAGE else f"{line[:LONGEST_MESSAGE]}…"

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self.connect()
        return self._connection

    def _answered(
        self, what: str, look: Callable[[], T | None] | None, call: Callable[..., T], arguments: Any, named: Any
    ) -> T:
        with self.budget():
            pauses = _pauses(self.jitter)
            while True:
                outcome = self._once(what, call, arguments, named)
                if not isinstance(outcome, Fault):
                    return outcome
                if outcome.is_uncertain:
                    self.lost += 1
                    if look and (found := look()) is not None:
                        return found
                self._rest(what, outcome, next(pauses))

    def _once(self, what: str, call: Callable[..., T], arguments: Any, named: Any) -> T | Fault:
        if self._refusal:
            raise self._refusal
        if self._silence and self.clock() < self._silent_until:
            raise BackendError(self._silence.message, self._silence.hint)
        timeout = max(1.0, min(REQUEST_SECONDS, self._left))
        connection = self._connected()
        try:
            answer = call(*arguments, **named, _request_timeout=timeout)
        except connection.failures as error:
            fault = connection.fault_of(error)
            self._was_heard = self._was_heard or fault.status != 0
            if fault.is_final:
                raise self._refused(what, fault) from error
            return fault
        self._silence, self._was_heard = None, True
        return answer

    def _rest(self, what: str, fault: Fault, pause: float) -> None:
        """Pause before the same call is made again; raises BackendError when there is no time for that."""
        rest = max(pause, fault.retry_after)
        if self._silence is None and rest < self._left:
            self.sleep(rest)
            return
        message = f"the workspace did not answer when asked to {what}: {self._words(fault)}"
        self._silence = BackendError(message, f"look whether {self.url} is up and can be reached from here")
        quiet = max(LONGEST_PAUSE_SECONDS, min(fault.retry_after, LONGEST_SILENCE_SECONDS))
        self._silent_until = self.clock() + quiet
        raise self._silence

    def _words(self, fault: Fault) -> str:
        said = f": {self.shown(fault.message)}" if fault.message else ""
        if not fault.status:
            return f"no connection{said}"
        return f"HTTP {fault.status}{' (too many requests)' if fault.status == BUSY else ''}{said}"

    def _refused(self, what: str, fault: Fault) -> RefusedError:
        said = f": {self.shown(fault.message)}" if fault.message else ""
        match fault.status:
            case 401:
                message = f"the workspace does not accept the key in {self.key_variable}{said}"
                hint = (
                    f"it may have expired: make an API key (version 2) in {self.url} and set {self.key_variable} to it"
                )
                self._refusal = RefusedError(message, hint)
                return self._refusal
            case 403:
                message = f"the owner of the key in {self.key_variable} may not {what}{said}"
                hint = f"ask an owner of the project {self.project_id} for the role Contributor, or use another key"
                self._refusal = RefusedError(message, hint)
                return self._refusal
            case 501:
                hint = "ask an administrator of the workspace for it"
                return MissingError(f"the workspace does not offer to {what}{said}", hint)
            case 404:
                hint = f"correct project_id where the project is not {self.project_id}; else it was deleted"
                return MissingError(f"the workspace finds nothing when asked to {what}{said}", hint)
            case status if status < 400:
                hint = f"write the workspace's own address; {self.url} leads elsewhere"
                return RefusedError(f"the workspace redirects when asked to {what} (HTTP {status})", hint)
            case status:
                hint = "change what the message names; the same request would be refused again"
                return RefusedError(f"the workspace refuses to {what} (HTTP {status}){said}", hint)


def identified(answer: Any, what: str) -> Any:
    """What answers without an id is something else than the API, such as a page to log in."""
    if not answer.id:
        raise BackendError(f"the workspace gave no answer of its API when asked to {what}", "correct backend.url")
    return answer


def _pauses(jitter: Callable[[], float]) -> Iterator[float]:
    """Doubling, each between half and all of itself, so that many clients do not come back at once."""
    longest = FIRST_PAUSE_SECONDS
    while True:
        yield longest * (1 + jitter()) / 2
        longest = min(2 * longest, LONGEST_PAUSE_SECONDS)
