"""Calls to a workspace: which are made again, after what pauses, and what is said when they are not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from studio.backends.workspace.calls import (
    AWAY_SECONDS,
    DEADLINE_SECONDS,
    LONGEST_MESSAGE,
    LONGEST_PAUSE_SECONDS,
    Calls,
    Connection,
    Fault,
    MissingError,
)
from studio.core.errors import BackendError, RefusedError, StudioError

KEY = "key-that-nobody-may-see"


class FailedError(Exception):
    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


@dataclass
class Script:
    """A workspace that answers as written, and a clock that only pauses move."""

    answers: list[object] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)
    now: float = 0.0
    seconds: float = 0.0
    """That each answer takes."""

    def call(self, *arguments: object, _request_timeout: float, **named: object) -> Any:
        self.timeouts.append(_request_timeout)
        self.now += self.seconds
        answer = self.answers.pop(0) if self.answers else "done"
        if isinstance(answer, Fault):
            raise FailedError(answer)
        return answer

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def calls(self, jitter: Callable[[], float] = lambda: 1.0) -> Calls:
        connection = Connection(SimpleNamespace(), (FailedError,), lambda error: error.fault)  # type: ignore[attr-defined]
        return Calls(
            "https://ml.example", "p-1", "CDSW_APIV2_KEY", lambda: connection, hidden={KEY},
            clock=lambda: self.now, sleep=self.sleep, jitter=jitter,
        )  # fmt: skip


TRANSIENT = [Fault(0, "connection reset"), Fault(429), Fault(500), Fault(502), Fault(503), Fault(504)]


@pytest.mark.parametrize("fault", TRANSIENT, ids=lambda fault: str(fault.status))
def test_what_may_pass_is_asked_again(fault: Fault) -> None:
    script = Script([fault, fault, "here"])
    assert script.calls().ask("list jobs", script.call) == "here"
    assert len(script.pauses) == 2


@pytest.mark.parametrize("status", [301, 302, 400, 401, 403, 404, 405, 409, 410, 413, 422, 499, 501])
def test_a_refusal_is_never_asked_again(status: int) -> None:
    script = Script([Fault(status, "no")])
    with pytest.raises(RefusedError) as caught:
        script.calls().ask("list jobs", script.call)
    assert len(script.timeouts) == 1 and script.pauses == []
    assert caught.value.hint


@pytest.mark.parametrize("status", [401, 403])
def test_after_a_refused_key_nothing_is_called_any_more(status: int) -> None:
    script = Script([Fault(status)])
    calls = script.calls()
    for _ in range(3):
        with pytest.raises(RefusedError, match="CDSW_APIV2_KEY"):
            calls.ask("list jobs", script.call)
    assert len(script.timeouts) == 1


def test_a_refusal_apart_stops_nobody_else() -> None:
    script = Script([Fault(403), "here"])
    calls = script.calls()
    with pytest.raises(RefusedError):
        calls.apart().ask("list labels", script.call)
    assert calls.ask("list jobs", script.call) == "here"


def test_what_is_missing_can_be_told_from_other_refusals() -> None:
    script = Script([Fault(404, "project not found")])
    with pytest.raises(MissingError, match="finds nothing when asked to list jobs: project not found") as caught:
        script.calls().ask("list jobs", script.call)
    assert "p-1" in caught.value.hint


def test_pauses_grow_and_differ() -> None:
    longest, shortest = Script([Fault(503)] * 8), Script([Fault(503)] * 8)
    longest.calls(lambda: 1.0).ask("list jobs", longest.call)
    shortest.calls(lambda: 0.0).ask("list jobs", shortest.call)
    assert longest.pauses == [0.5, 1, 2, 4, 8, 8, 8, 8]
    assert shortest.pauses == [pause / 2 for pause in longest.pauses]
    assert max(longest.pauses) == LONGEST_PAUSE_SECONDS


def test_a_busy_workspace_says_when_to_come_back() -> None:
    script = Script([Fault(429, retry_after=7), "here"])
    assert script.calls().ask("list jobs", script.call) == "here"
    assert script.pauses == [7]


def test_who_is_sent_away_for_too_long_does_not_wait() -> None:
    script = Script([Fault(429, retry_after=3600)])
    with pytest.raises(BackendError, match=r"HTTP 429 \(too many requests\)") as caught:
        script.calls().ask("list jobs", script.call)
    assert script.pauses == [] and not isinstance(caught.value, RefusedError)


def test_asking_ends_at_the_deadline() -> None:
    script = Script([Fault(503, "restarting")] * 100)
    with pytest.raises(BackendError, match="did not answer when asked to list jobs: HTTP 503: restarting") as caught:
        script.calls().ask("list jobs", script.call)
    assert not isinstance(caught.value, RefusedError)
    assert script.now < DEADLINE_SECONDS
    assert "https://ml.example" in caught.value.hint


def test_all_calls_of_an_undertaking_share_one_deadline() -> None:
    script = Script([Fault(0)] * 100)
    calls = script.calls()
    with calls.budget():
        for _ in range(3):
            with pytest.raises(BackendError):
                calls.ask("list jobs", script.call)
    assert script.now < DEADLINE_SECONDS


def test_who_was_away_for_a_whole_deadline_is_asked_once_at_a_time_until_it_answers() -> None:
    script = Script([Fault(503)] * 100)
    calls = script.calls()
    with pytest.raises(BackendError):
        calls.ask("list jobs", script.call)
    asked, waited = len(script.timeouts), script.now
    for _ in range(200):  # as many jobs that want to begin
        with pytest.raises(BackendError, match="HTTP 503"):
            calls.ask("list jobs", script.call)
    assert (len(script.timeouts), script.now) == (asked, waited)
    script.now += LONGEST_PAUSE_SECONDS
    with pytest.raises(BackendError):
        calls.ask("list jobs", script.call)
    assert (len(script.timeouts), script.now) == (asked + 1, waited + LONGEST_PAUSE_SECONDS)
    script.now += LONGEST_PAUSE_SECONDS
    script.answers = ["here", Fault(503), "again"]
    assert calls.ask("list jobs", script.call) == "here"
    assert calls.ask("list jobs", script.call) == "again"  # with patience, as before


def test_who_sends_away_for_long_is_left_alone_for_so_long() -> None:
    script = Script([Fault(429, retry_after=120), "here"])
    calls = script.calls()
    for _ in range(3):
        with pytest.raises(BackendError, match="too many requests"):
            calls.ask("list jobs", script.call)
        script.now += 39
    assert len(script.timeouts) == 1
    script.now += 39
    assert calls.ask("list jobs", script.call) == "here"


def test_no_answer_is_waited_for_longer_than_the_deadline() -> None:
    script = Script([Fault(503), *[Fault(0)] * 100], seconds=14)
    with pytest.raises(BackendError):
        script.calls().ask("list jobs", script.call)
    assert script.timeouts[1] <= 20 and script.timeouts[-1] < script.timeouts[1]


def test_a_workspace_of_which_nothing_was_ever_heard_is_given_up_soon() -> None:
    script = Script([Fault(0, "no such host")] * 100)
    began, calls = script.now, script.calls()
    with pytest.raises(BackendError, match="no such host"):
        calls.ask("list jobs", script.call)
    assert script.now - began <= AWAY_SECONDS < DEADLINE_SECONDS


def test_a_workspace_that_was_heard_is_waited_for_longer() -> None:
    script = Script(["here", *[Fault(0)] * 100])
    calls = script.calls()
    calls.ask("list jobs", script.call)
    began = script.now
    with pytest.raises(BackendError):
        calls.ask("list jobs", script.call)
    assert AWAY_SECONDS < script.now - began <= DEADLINE_SECONDS


@pytest.mark.parametrize("status", [0, 500, 503])
def test_before_a_change_is_made_again_somebody_looks(status: int) -> None:
    script = Script([Fault(status)])
    calls = script.calls()
    assert calls.effect("create the job", lambda: "made", script.call) == "made"
    assert len(script.timeouts) == 1 and calls.lost == 1


def test_a_change_that_was_not_made_is_made_again() -> None:
    script, looks = Script([Fault(0), Fault(0), "made"]), []
    calls = script.calls()
    assert calls.effect("create the job", lambda: looks.append(1), script.call) == "made"
    assert len(looks) == 2 and len(script.timeouts) == 3


def test_a_busy_workspace_changed_nothing_so_nobody_looks() -> None:
    script = Script([Fault(429), "made"])
    calls = script.calls()
    assert calls.effect("create the job", lambda: "somebody else's", script.call) == "made"
    assert calls.lost == 0


def test_what_the_workspace_says_is_passed_on_without_secrets_and_in_one_line() -> None:
    token = "hf_" + "a" * 30
    said = f"bad key {KEY}\nand token {token}, see postgresql://me:pass@db " + "x" * 5000
    script = Script([Fault(400, said)])
    with pytest.raises(RefusedError) as caught:
        script.calls().ask("create the job", script.call)
    message = caught.value.message
    assert KEY not in message and token not in message and ":pass@" not in message
    assert "\n" not in message and len(message) < LONGEST_MESSAGE + 200
    assert KEY not in repr(script.calls())


def test_all_pages_of_a_listing_are_read() -> None:
    pages = [SimpleNamespace(jobs=[1, 2], next_page_token="b"), SimpleNamespace(jobs=None, next_page_token="c"),
             SimpleNamespace(jobs=[3], next_page_token="")]  # fmt: skip
    script = Script(list(pages))
    assert script.calls().pages("list jobs", lambda page: page.jobs, script.call) == [1, 2, 3]


def test_a_listing_without_end_is_left() -> None:
    script = Script()
    script.call = lambda **_: SimpleNamespace(jobs=[], next_page_token="again")  # type: ignore[method-assign]
    with pytest.raises(BackendError, match="does not come to an end"):
        script.calls().pages("list jobs", lambda page: page.jobs, script.call)


def test_a_mistake_of_ours_is_no_fault_of_the_workspace() -> None:
    calls = Script().calls()
    with pytest.raises(TypeError):
        calls.ask("list jobs", lambda: None)


def test_without_a_client_the_reason_is_told() -> None:
    def connect() -> Connection:
        raise StudioError("cmlapi is not installed")

    calls = Calls("https://ml.example", "p-1", "CDSW_APIV2_KEY", connect)
    with pytest.raises(StudioError, match="not installed"):
        calls.ask("list jobs", lambda **_: None)
