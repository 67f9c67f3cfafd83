"""The loop when things go wrong around it: silent backends, failures, jobs that were left behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from studio.apply.manner import Manner
from studio.apply.outcome import Ending
from studio.apply.patience import DEADLINE_SECONDS
from studio.backends.base import Capacity, Handle, JobStatus
from studio.core.errors import BackendError, LeaseLostError, RefusedError
from studio.core.references import Ref
from studio.plan.actions import Verb
from studio.state import lease
from studio.state.base import RecordStatus, Run, RunStatus
from studio.state.sql import open_engine
from studio.workflow import applying, places
from tests.fakes.backend import CountingBackend, failed
from tests.test_apply import EVALUATION, EXPORT, ROUTER, Notes, Project, project

__all__ = ["project"]
OTHER = Ref("FineTuningJob", "other")


@dataclass
class Clock:
    """Time that passes only while somebody sleeps."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(project: Project, monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(places, "clock", made)
    monkeypatch.setattr(places, "pause", made.sleep)
    return made


def silent(
    monkeypatch: pytest.MonkeyPatch,
    backend: CountingBackend,
    method: str,
    when: Callable[..., bool],
    error: type[BackendError] = BackendError,
) -> list[object]:
    """Let a method of the backend raise while ``when`` says so; the list fills with the calls that it refused."""
    real, refused = getattr(backend, method), []

    def asked(*arguments: object) -> object:
        if when(*arguments):
            refused.append(arguments)
            raise error("the workspace is away", "look at its page")
        return real(*arguments)

    monkeypatch.setattr(backend, method, asked)
    return refused


def test_a_backend_that_is_silent_for_a_while_is_asked_again_with_growing_pauses(
    project: Project, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = silent(monkeypatch, project.backend, "poll", lambda handle: clock.now < 1060)
    outcomes = project.apply()
    assert {outcome.ending for outcome in outcomes.values()} == {Ending.DONE}
    assert 4 <= len(refused) <= 8  # not every half second
    assert len(project.backend.submissions) == 3


def test_silence_about_one_job_holds_up_no_other(
    project: Project, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.add_job("other")
    silent(monkeypatch, project.backend, "poll", lambda handle: "router-" in handle.key and "finetuning" in handle.key)
    outcomes = project.apply()
    assert outcomes[OTHER].ending is Ending.DONE
    assert outcomes[ROUTER].ending is Ending.LOST
    assert "5 min" in outcomes[ROUTER].message and "the workspace is away" in outcomes[ROUTER].message
    assert outcomes[EVALUATION].ending is Ending.BLOCKED
    assert clock.now - 1000 < DEADLINE_SECONDS + 60


def test_a_job_that_was_lost_sight_of_is_not_called_failed_and_the_next_apply_attaches(
    project: Project, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        silent(patched, project.backend, "poll", lambda handle: True)
        assert project.apply()[ROUTER].ending is Ending.LOST
    state = project.plan().state
    assert state.runs(ROUTER)[0].status is RunStatus.SUBMITTED and ROUTER not in state.records()
    assert next(action for action in project.plan().plan.actions if action.ref == ROUTER).attaches
    outcomes = project.apply()
    assert outcomes[ROUTER].ending is Ending.DONE and outcomes[ROUTER].attached
    assert len(project.backend.submissions) == 3


def test_a_backend_that_says_no_is_not_asked_the_same_again_and_the_job_is_not_called_failed(
    project: Project, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        refused = silent(patched, project.backend, "poll", lambda handle: True, RefusedError)
        outcomes = project.apply()
    assert len(refused) == 1 and clock.slept == []
    assert outcomes[ROUTER].ending is Ending.LOST and outcomes[ROUTER].message == "the workspace is away"
    assert project.apply()[ROUTER].attached


@pytest.mark.parametrize("method", ["capacity", "attempts"])
def test_a_no_before_anything_started_is_final(
    project: Project, clock: Clock, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    refused = silent(monkeypatch, project.backend, method, lambda *_: True, RefusedError)
    assert project.apply()[ROUTER].ending is Ending.FAILED
    assert len(refused) == 1 and project.backend.submissions == []


@pytest.mark.parametrize("method", ["capacity", "attempts"])
def test_a_backend_that_is_silent_before_anything_started_is_waited_for(
    project: Project, clock: Clock, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    silent(monkeypatch, project.backend, method, lambda *_: clock.now < 1030)
    assert {outcome.ending for outcome in project.apply().values()} == {Ending.DONE}


@pytest.mark.parametrize("method", ["capacity", "attempts"])
def test_a_backend_that_never_answers_ends_the_apply_and_records_no_failure(
    project: Project, clock: Clock, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    silent(monkeypatch, project.backend, method, lambda *_: True)
    outcomes = project.apply()
    assert outcomes[ROUTER].ending is Ending.FAILED and outcomes[ROUTER].hint == "look at its page"
    assert ROUTER not in project.plan().state.records()
    assert outcomes[Ref("Dataset", "tickets")].ending is Ending.DONE


def test_the_backend_is_asked_for_its_capacity_once_a_round(
    project: Project, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(20):
        project.add_job(f"job-{index}", num_cpu=2, learning_rate=0.001 * (index + 1))
    project.backend.polls, project.backend.free = 3, Capacity(4, 0, 64)
    asked = silent(monkeypatch, project.backend, "capacity", lambda: asks.append(1) or False)
    asks: list[int] = []
    project.apply(parallelism=16)
    assert project.backend.most_at_once == 2 and asked == []
    assert len(asks) <= 2 * len(clock.slept) + 5


def test_a_job_that_no_machine_here_can_hold_fails_with_the_reason(
    project: Project, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.add_job("other", num_gpu=4)
    project.backend.free = Capacity(8, 1, 64)
    real = project.backend.submit

    def submit(spec: object) -> Handle:
        if spec.resources.gpu > 1:  # type: ignore[attr-defined]
            raise BackendError("the job asks for 4 GPU, 1 are free here", "ask for fewer")
        return real(spec)  # type: ignore[arg-type]

    monkeypatch.setattr(project.backend, "submit", submit)
    outcomes = project.apply()
    assert outcomes[OTHER].ending is Ending.FAILED and "4 GPU" in outcomes[OTHER].message
    assert outcomes[EXPORT].ending is Ending.DONE


def test_a_submission_whose_answer_was_lost_is_found_and_followed(
    project: Project, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = project.backend.submit

    def submit(spec: object) -> Handle:
        real(spec)  # type: ignore[arg-type]
        raise BackendError("the connection broke")

    monkeypatch.setattr(project.backend, "submit", submit)
    assert {outcome.ending for outcome in project.apply().values()} == {Ending.DONE}
    assert len(project.backend.submissions) == 3


def test_a_submission_of_which_nothing_is_known_stays_an_intent(
    project: Project, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        silent(patched, project.backend, "submit", lambda spec: True)
        silent(patched, project.backend, "find", lambda key, attempt: True)
        outcome = project.apply()[ROUTER]
    assert outcome.ending is Ending.LOST and "whether the job was started is not known" in outcome.message
    assert project.plan().state.runs(ROUTER)[0].status is RunStatus.INTENT
    assert {outcome.ending for outcome in project.apply().values()} == {Ending.DONE, Ending.SKIPPED}
    assert [attempt for _, attempt in project.backend.submissions] == [1, 1, 1]


def test_a_lost_lease_stops_everything_and_submits_nothing_more(
    project: Project, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_engine("sqlite:///.studio/state.db", project.root)
    real = project.backend.submit

    def usurped(spec: object) -> Handle:
        with engine.begin() as connection:
            connection.execute(lease.leases.update().values(token=lease.leases.c.token + 1))
        return real(spec)  # type: ignore[arg-type]

    project.add_job("other")
    monkeypatch.setattr(project.backend, "submit", usurped)
    with pytest.raises(LeaseLostError):
        project.apply()
    assert len(project.backend.submissions) == 1
    assert {run.status for run in project.plan().state.runs()} == {RunStatus.INTENT}


def apply(project: Project, **manner: bool) -> applying.Applied:
    return applying.apply(project.plan(), Notes(), 4, manner=Manner(**manner))


def test_fail_fast_starts_nothing_new_and_waits_for_what_runs(project: Project, clock: Clock) -> None:
    for index in range(4):
        project.add_job(f"job-{index}", learning_rate=0.001 * (index + 1))
    project.backend.ends["job-0"] = failed("CUDA out of memory")
    project.backend.polls = 1
    applied = applying.apply(project.plan(), Notes(), 2, manner=Manner(fail_fast=True))
    endings = {ref.name: outcome.ending for ref, outcome in applied.outcomes.items() if ref.kind == "FineTuningJob"}
    assert endings == {
        "job-0": Ending.FAILED, "job-1": Ending.DONE, "job-2": Ending.UNSTARTED, "job-3": Ending.UNSTARTED,
        "router": Ending.UNSTARTED,
    }  # fmt: skip
    assert applied.outcomes[Ref("FineTuningJob", "job-2")].message == "because of FineTuningJob/job-0"
    assert apply(project).outcomes[Ref("FineTuningJob", "job-3")].ending is Ending.DONE


def test_a_gate_that_was_missed_long_ago_does_not_stop_fail_fast(project: Project, clock: Clock) -> None:
    project.backend.metrics = {"exact_match": 0.41}
    project.edit("  requires: [router-vs-base]", "  requires: []")
    project.apply()
    project.add_job("other")
    assert apply(project, fail_fast=True).outcomes[OTHER].ending is Ending.DONE


def test_detached_applies_go_on_from_one_another(project: Project, clock: Clock) -> None:
    project.backend.polls = 2
    first = apply(project, detach=True)
    assert first.running == (ROUTER,) and set(first.waiting) == {EVALUATION, EXPORT} and clock.slept == []
    assert first.failed == [] and project.plan().state.operations(1)[0].outcome == "detached"
    assert project.plan().state.operations(1)[0].summary["FineTuningJob/router"] == "running"
    for _ in range(9):
        last = apply(project, detach=True)
    assert last.running == () and project.plan().plan.pending == ()
    assert len(project.backend.submissions) == 3


def interrupted(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Apply, and leave while the first job runs."""
    project.backend.polls = 3
    with monkeypatch.context() as patched:
        patched.setattr(places, "pause", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            project.apply()


CHANGED = ("train_test_split: 0.85", "train_test_split: 0.8")


def test_what_a_job_of_an_earlier_version_made_is_kept_and_reused(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(project, monkeypatch)
    earlier = project.plan().state.runs(ROUTER)[0]
    project.edit(*CHANGED)
    assert project.plan().plan.left == (ROUTER,)
    applied = apply(project)
    assert project.plan().plan.left == () and project.plan().plan.pending == ()
    assert [settled.words.split(";")[0] for settled in applied.settled] == ["succeeded"]
    closed = next(run for run in project.plan().state.runs(ROUTER) if run.key == earlier.key)
    assert closed.status is RunStatus.SUCCEEDED and closed.finished_at
    artifact = project.plan().state.artifact("FineTuningJob", earlier.fingerprint)
    assert artifact and artifact.output["adapter"] and artifact.resources["cpu"] == 2
    assert artifact.measures["task"] == "training" and artifact.measures["model"]
    project.edit(*reversed(CHANGED))
    assert {action.verb for action in project.plan().plan.pending if action.ref == ROUTER} == {Verb.REUSE}


def test_a_job_of_a_removed_manifest_that_still_runs_is_shown_until_it_ends(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.add_job("other")
    project.backend.polls = 50
    with monkeypatch.context() as patched:
        patched.setattr(places, "pause", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            project.apply()
    (project.root / "manifests" / "other.yaml").unlink()
    for key in project.backend.polled:
        project.backend.polled[key] = 0 if "other" in key else 99
    applied = apply(project, detach=True)
    assert [(each.run.ref, each.words, each.open) for each in applied.settled] == [(OTHER, "still runs", True)]
    assert project.plan().plan.left == (OTHER,)


def test_a_failure_of_an_earlier_version_closes_its_run_and_no_record(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(project, monkeypatch)
    project.edit(*CHANGED)
    earlier = project.plan().state.runs(ROUTER)[0]
    real = project.backend.poll

    def poll(handle: Handle) -> JobStatus:
        return failed("killed")(None) if handle.key == earlier.key else real(handle)  # type: ignore[arg-type]

    monkeypatch.setattr(project.backend, "poll", poll)
    applied = apply(project)
    assert [each.words for each in applied.settled] == ["failed: killed"]
    assert project.plan().state.records()[ROUTER].status is RecordStatus.READY


def test_an_intent_that_never_reached_the_backend_is_closed(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(spec: object) -> Handle:
        raise SystemExit(137)

    with monkeypatch.context() as patched:
        patched.setattr(project.backend, "submit", crash)
        with pytest.raises(SystemExit):
            project.apply()
    project.edit(*CHANGED)
    applied = apply(project)
    assert [each.words for each in applied.settled] == ["was never started"]
    assert {run.status for run in project.plan().state.runs()} == {RunStatus.SUCCEEDED, RunStatus.FAILED}


def test_orphans_are_settled_though_there_is_nothing_else_to_do(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.apply()
    project.edit(*CHANGED)
    interrupted(project, monkeypatch)
    project.edit(*reversed(CHANGED))
    planned = project.plan()
    assert planned.plan.pending == () and planned.plan.left == (ROUTER,)
    for key in project.backend.polled:
        project.backend.polled[key] = 99
    assert [each.open for each in apply(project).settled] == [False]
    assert project.plan().plan.left == ()


def test_a_job_that_runs_while_its_resource_is_renamed_is_attached_to(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(project, monkeypatch)
    project.edit("metadata: {name: router, ", "metadata: {name: sorter, ")
    assert project.plan().plan.left == ()
    outcomes = project.apply()
    assert outcomes[Ref("FineTuningJob", "sorter")].attached
    assert [key.split("-")[0] for key, _ in project.backend.submissions].count("finetuningjob") == 1
    record = project.plan().state.records()[Ref("FineTuningJob", "sorter")]
    assert "finetuningjob-router" in record.outcome["run_dir"]


def test_a_job_that_was_lost_sight_of_is_attached_to_under_another_name_too(
    project: Project, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two resources with the same work: the second is not started beside the first, which may still run."""
    project.add_job("first")
    project.add_job("second")
    silent(monkeypatch, project.backend, "poll", lambda handle: clock.now < 1000 + DEADLINE_SECONDS + 30)
    outcomes = project.apply()
    assert outcomes[Ref("FineTuningJob", "first")].ending is Ending.LOST
    assert outcomes[Ref("FineTuningJob", "second")].attached
    assert [key for key, _ in project.backend.submissions if "-second-" in key] == []


def test_state_is_asked_once_for_what_is_open_however_many_jobs_there_are(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from studio.state.sql import SqlState

    for number in range(8):
        project.add_job(f"other-{number}", learning_rate=0.001 * (number + 1))
    asked, real = [], SqlState.active

    def active(state: SqlState) -> list[Run]:
        asked.append(1)
        return real(state)

    planned = project.plan()
    with monkeypatch.context() as patched:
        patched.setattr(SqlState, "active", active)
        applying.apply(planned, Notes(), 4)
    few = len(asked)
    assert len(project.backend.submissions) == 11 and few <= 4, few


def test_a_run_of_another_backend_is_left_alone_and_named(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(project, monkeypatch)
    project.backend.name = "another"
    applied = apply(project)
    (left,) = applied.settled
    assert left.open and "'counting'" in left.words
    assert [attempt for key, attempt in project.backend.submissions if "finetuning" in key] == [1, 2]


def test_an_export_is_held_back_however_it_would_be_done(project: Project) -> None:
    project.backend.ends["router-release"] = failed("disk full")
    project.apply()
    project.edit("min: 0.6,", "min: 0.95,")
    assert {a.ref: a.verb for a in project.plan().plan.pending}[EXPORT] is Verb.RETRY
    outcome = project.apply()[EXPORT]
    assert outcome.ending is Ending.HELD
    assert "exact_match of ticket-router: 0.9, not at least 0.95" in outcome.message


def test_the_plan_that_is_saved_says_nothing_of_jobs_that_may_end_meanwhile(project: Project) -> None:
    from studio.plan.saved import content, demand_same

    plan = project.plan().plan
    demand_same(content(replace(plan, left=(ROUTER,))), plan)
    assert content(replace(plan, left=(ROUTER,)))["left_running"] == ["FineTuningJob/router"]
