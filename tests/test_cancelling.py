"""Cancelling against a backend that is told what to answer; the real one is in tests/cli/test_jobs.py."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from studio.apply.manner import Manner
from studio.apply.outcome import Ending
from studio.backends.base import Handle
from studio.core.errors import BackendError
from studio.inspection import Standing
from studio.load.project import load_project
from studio.plan.selection import Selection
from studio.report.standings import headline
from studio.state.base import Run, RunStatus
from studio.workflow import applying, cancelling, places, planning
from studio.workflow.cancelling import DEADLINE_SECONDS, Cancellation, Stage, cancel, record, to_start_again
from tests.test_apply import ROUTER, Notes, Project, project

__all__ = ["project"]


@pytest.fixture
def run(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """A job that runs, and a clock that only moves while somebody waits."""
    project.backend.polls = 1_000_000
    applying.apply(project.plan(), Notes(), 4, manner=Manner(detach=True))
    now = [1000.0]
    monkeypatch.setattr(places, "clock", lambda: now[0])
    monkeypatch.setattr(places, "pause", lambda seconds: now.__setitem__(0, now[0] + seconds))
    (active,) = project.plan().state.active()
    yield active


def stops(project: Project) -> None:
    """Let the backend's jobs end when they are asked to."""
    real = project.backend.cancel

    def stop(handle: Handle) -> None:
        real(handle)
        project.backend.polls = 0

    project.backend.cancel = stop  # type: ignore[method-assign]


def cancelled(project: Project, run: Run, *, wait: bool = True) -> Cancellation:
    told: list[Run] = []
    (found,) = cancel([run], project.backend, told.append, wait=wait)
    assert (told == [run]) is (found.stage in (Stage.STOPPED, Stage.ASKED, Stage.STUCK))
    return found


def test_a_job_that_stops_is_closed_with_an_operation_that_says_who(project: Project, run: Run) -> None:
    stops(project)
    found = cancelled(project, run)
    assert found.stage is Stage.STOPPED
    assert record(load_project(project.root), [found]) == ""
    state = project.plan().state
    assert state.runs(ROUTER)[0].status is RunStatus.CANCELLED and state.active() == []
    operation = state.operations(1)[0]
    assert (operation.command, operation.summary) == ("cancel", {"FineTuningJob/router": "cancelled"})
    assert ROUTER not in state.records()  # what is recorded of the resource stays as it was


def test_whoever_holds_the_lock_records_it(project: Project, run: Run) -> None:
    stops(project)
    found = cancelled(project, run)
    loaded = load_project(project.root)
    with places.locked_state(loaded, "studio apply"):
        assert "the process that holds the lock" in record(loaded, [found])
        assert [each.status for each in project.plan().state.active()] == [RunStatus.SUBMITTED]
    assert record(loaded, [found]) == ""


def test_what_somebody_else_has_closed_is_not_closed_again(project: Project, run: Run) -> None:
    stops(project)
    found = cancelled(project, run)
    loaded = load_project(project.root)
    record(loaded, [found])
    serial = project.plan().state.lineage().serial
    assert record(loaded, [found]) == "" and project.plan().state.lineage().serial == serial


def test_a_job_that_does_not_stop_is_given_up(project: Project, run: Run) -> None:
    found = cancelled(project, run)
    assert found.stage is Stage.STUCK and f"{DEADLINE_SECONDS:.0f} s" in found.words
    assert record(load_project(project.root), [found]) == ""
    assert project.plan().state.active() == [run]


def test_a_backend_that_does_not_answer_is_no_news(project: Project, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise BackendError("the workspace is away")

    with monkeypatch.context() as patched:
        patched.setattr(project.backend, "cancel", away)
        assert cancelled(project, run) == Cancellation(run, Stage.UNKNOWN, "the workspace is away")
    stops(project)
    real, asked = project.backend.poll, [0]

    def poll(handle: Handle) -> object:
        asked[0] += 1
        return real(handle) if asked[0] in (1, 5) else away()

    monkeypatch.setattr(project.backend, "poll", poll)
    assert cancelled(project, run).stage is Stage.STOPPED and asked[0] == 5


def test_without_waiting_nothing_is_recorded(project: Project, run: Run) -> None:
    found = cancelled(project, run, wait=False)
    assert found.stage is Stage.ASKED
    record(load_project(project.root), [found])
    assert project.plan().state.active() == [run]


def test_a_job_that_ended_by_itself_is_left_for_apply_to_record(project: Project, run: Run) -> None:
    project.backend.polls = 0
    found = cancelled(project, run)
    assert found.stage is Stage.OVER
    record(load_project(project.root), [found])
    assert applying.apply(project.plan(), Notes(), 4).outcomes[ROUTER].attached


def test_an_intent_that_never_arrived_is_closed(project: Project, run: Run) -> None:
    project.backend.submissions.clear()
    found = cancelled(project, replace(run, status=RunStatus.INTENT))
    assert found.stage is Stage.UNSTARTED
    record(load_project(project.root), [found])
    assert project.plan().state.active() == []


def test_a_job_of_another_backend_cannot_be_stopped_here(project: Project, run: Run) -> None:
    found = cancelled(project, replace(run, backend="cml"))
    assert found.stage is Stage.UNKNOWN and "'cml'" in found.words
    assert cancelling.record(load_project(project.root), [found]) == ""


@pytest.fixture
def repeated(project: Project, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A job that only repeats what is recorded: --replace asked for it, and the apply left it running."""
    monkeypatch.setattr(places, "pause", lambda _: None)
    applying.apply(project.plan(), Notes(), 4)
    project.backend.polls = 1_000_000
    again = planning.plan(project.root, "default", selection=Selection(replace=("FineTuningJob/router",)))
    assert isinstance(again, planning.Planned)
    applying.apply(again, Notes(), 4, manner=Manner(detach=True))
    (active,) = project.plan().state.active()
    return active


def test_a_repetition_that_was_stopped_is_not_begun_again_and_what_is_recorded_stays(
    project: Project, repeated: Run
) -> None:
    stops(project)
    before = project.plan().state.records()[ROUTER]
    cancelled(project, repeated, wait=False)
    done = applying.apply(project.plan(), Notes(), 4)
    outcome = done.outcomes[ROUTER]
    assert outcome.ending is Ending.CANCELLED and "--replace FineTuningJob/router" in outcome.hint
    state = project.plan().state
    assert state.records()[ROUTER] == before and state.runs(ROUTER)[0].status is RunStatus.CANCELLED
    assert [attempt for key, attempt in project.backend.submissions if key == repeated.key] == [1, 2]
    assert project.plan().plan.pending == ()


def test_a_repetition_is_started_again_only_when_apply_is_told_to(project: Project, repeated: Run) -> None:
    records = project.plan().state.records()
    again = to_start_again([repeated, replace(repeated, key="other", fingerprint="f" * 64)], records)
    assert again == {repeated.key: ("--replace", "FineTuningJob/router"), "other": ()}


def test_what_was_recorded_before_a_cancelled_run_is_told_as_that(project: Project, repeated: Run) -> None:
    record_of = replace(
        project.plan().state.records()[ROUTER], outcome={"output": {"task": "training", "metrics": {"eval_loss": 0.5}}}
    )
    ended = replace(repeated, status=RunStatus.CANCELLED, error="the job was cancelled")
    found = Standing(ROUTER, record_of, ended, None)
    assert (found.state, headline(found)) == ("cancelled", "recorded before: eval_loss 0.5")
    assert headline(Standing(ROUTER, record_of, None, None)) == "eval_loss 0.5"
