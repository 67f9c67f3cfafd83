"""The apply loop through the workflow, against a backend that counts submissions."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from studio.apply.outcome import Ending, Outcome
from studio.backends import BACKENDS
from studio.backends.base import Capacity, Handle, JobState, JobStatus
from studio.core.errors import BackendError, LeaseLostError, StalePlanError
from studio.core.event import Event
from studio.core.jobresult import EarlyStop, TrainingOutput
from studio.core.jobspec import EvaluationWork, ExportWork, JobSpec
from studio.core.references import Ref
from studio.plan.actions import Action, Verb
from studio.state import lease
from studio.state.base import Operation, Record, RecordStatus, Run, RunStatus
from studio.state.sql import SqlState, open_engine
from studio.workflow import applying, places, planning
from tests.fakes.backend import CountingBackend, failed, result_of

QUICKSTART = Path(__file__).resolve().parents[1] / "examples" / "quickstart"
ROUTER = Ref("FineTuningJob", "router")
EVALUATION = Ref("EvaluationJob", "router-vs-base")
EXPORT = Ref("ModelExport", "router-release")
MADE = Ref("Adapter", "ticket-router")


@dataclass
class Notes:
    """A watcher that remembers."""

    started_: list[Ref] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    def started(self, action: Action, message: str) -> None:
        self.started_.append(action.ref)

    def waiting(self, action: Action, message: str) -> None:
        pass

    def progressed(self, action: Action, event: Event) -> None:
        pass

    def finished(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


@dataclass
class Project:
    """A copy of the quickstart and the backend its jobs go to."""

    root: Path
    backend: CountingBackend

    def plan(self) -> planning.Planned:
        planned = planning.plan(self.root, "default")
        assert isinstance(planned, planning.Planned), planned.findings
        return planned

    def apply(self, parallelism: int = 4) -> dict[Ref, Outcome]:
        return applying.apply(self.plan(), Notes(), parallelism).outcomes

    def edit(self, old: str, new: str, file: str = "router.yaml") -> None:
        path = self.root / "manifests" / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def add_job(self, name: str, **fields: object) -> None:
        spec = {
            "base_model": "tiny-llama", "dataset": "tickets", "prompt": "route-ticket",
            "adapter_name": f"{name}-adapter", "num_cpu": 1, "num_memory": 1, "num_epochs": 1, **fields,
        }  # fmt: skip
        lines = "".join(f"  {key}: {value}\n" for key, value in spec.items())
        text = f"apiVersion: studio/v1\nkind: FineTuningJob\nmetadata: {{name: {name}}}\nspec:\n{lines}"
        (self.root / "manifests" / f"{name}.yaml").write_text(text)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    root = tmp_path / "project"
    shutil.copytree(QUICKSTART, root, ignore=shutil.ignore_patterns(".studio", "build"))
    backend = CountingBackend(root)
    monkeypatch.setitem(BACKENDS, "local", lambda site: backend)
    monkeypatch.setattr(places, "pause", lambda _: None)
    yield Project(root, backend)


def test_after_apply_the_plan_is_empty_and_every_record_is_complete(project: Project) -> None:
    outcomes = project.apply()
    assert {outcome.ending for outcome in outcomes.values()} == {Ending.DONE}
    planned = project.plan()
    assert planned.plan.pending == ()
    records = planned.state.records()
    assert set(records) == {action.ref for action in planned.plan.actions}
    assert all(record.status is RecordStatus.READY and record.uid for record in records.values())
    assert records[ROUTER].outcome["output"]["adapter"].endswith("/adapter")
    trained = planned.state.artifact("FineTuningJob", records[ROUTER].fingerprint)
    assert trained and trained.measures["task"] == "training"
    assert (trained.measures["device"], trained.measures["rows"]) == ("cpu", 9)


def test_a_training_that_stopped_early_says_so_where_apply_says_that_it_is_done(project: Project) -> None:
    stopped = EarlyStop(step=4, steps=6, best=1.25, best_step=2, patience=1)

    def ended(spec: JobSpec) -> JobStatus:
        result = result_of(spec)
        assert isinstance(result.output, TrainingOutput)
        output = result.output.model_copy(update={"stopped": stopped})
        return JobStatus(JobState.SUCCEEDED, result=result.model_copy(update={"output": output}))

    project.backend.ends["router"] = ended
    assert project.apply()[ROUTER].message == stopped.words
    assert project.plan().state.records()[ROUTER].outcome["output"]["stopped"]["best_step"] == 2


def test_each_job_is_submitted_once_and_after_what_it_needs(project: Project) -> None:
    project.apply()
    kinds = [key.split("-")[0] for key, _ in project.backend.submissions]
    assert kinds == ["finetuningjob", "evaluationjob", "modelexport"]
    project.apply()
    assert len(project.backend.submissions) == 3


def test_downstream_jobs_get_the_adapter_that_was_trained(project: Project) -> None:
    project.apply()
    by_kind = {spec.kind: spec.work for spec in project.backend.specs.values()}
    evaluation, export = by_kind["EvaluationJob"], by_kind["ModelExport"]
    assert isinstance(evaluation, EvaluationWork) and isinstance(export, ExportWork)
    trained = project.plan().state.records()[ROUTER].outcome["output"]
    adapter = evaluation.combinations[1].adapter
    assert adapter and adapter.location == trained["adapter"] and adapter.digest == trained["digest"]
    assert export.adapter == adapter
    assert evaluation.seen[0].split.train == pytest.approx(0.85)
    assert export.input_example.startswith("### CUSTOMER: ")
    assert export.provenance["inputs"]["FineTuningJob/router"] == project.plan().desire.items[ROUTER].fingerprint
    assert export.provenance["trained_by"]["job"] == "FineTuningJob/router" and export.provenance["trained_by"]["key"]


def test_a_failed_job_blocks_only_what_depends_on_it(project: Project) -> None:
    project.add_job("other")
    project.backend.ends["router"] = failed("CUDA out of memory")
    outcomes = project.apply()
    assert outcomes[ROUTER].ending is Ending.FAILED and "CUDA out of memory" in outcomes[ROUTER].message
    assert outcomes[EVALUATION].ending is Ending.BLOCKED
    assert outcomes[EXPORT].message == "by FineTuningJob/router"  # the root of it, not the next in line
    assert outcomes[Ref("FineTuningJob", "other")].ending is Ending.DONE


def test_a_failed_job_is_retried_as_a_further_attempt_of_the_same_key(project: Project) -> None:
    project.backend.ends["router"] = failed("killed")
    project.apply()
    assert next(a.verb for a in project.plan().plan.actions if a.ref == ROUTER) is Verb.RETRY
    del project.backend.ends["router"]
    project.apply()
    (first, one), (second, two) = project.backend.submissions[:2]
    assert first == second and (one, two) == (1, 2)
    assert project.plan().plan.pending == ()


def test_a_missed_gate_holds_the_export_back_and_says_which_number(project: Project) -> None:
    project.backend.metrics = {"exact_match": 0.41}
    outcomes = project.apply()
    assert outcomes[EVALUATION].ending is Ending.MISSED
    assert outcomes[EXPORT].ending is Ending.HELD
    for word in ("router-vs-base", "exact_match", "0.41", "0.6"):
        assert word in outcomes[EXPORT].message
    assert len(project.backend.submissions) == 2


def test_a_changed_gate_is_decided_from_recorded_metrics_without_running_again(project: Project) -> None:
    project.backend.metrics = {"exact_match": 0.41}
    project.apply()
    project.edit("min: 0.6,", "min: 0.4,")
    assert {a.ref: a.verb for a in project.plan().plan.pending} == {EVALUATION: Verb.UPDATE, EXPORT: Verb.CREATE}
    outcomes = project.apply()
    assert outcomes[EVALUATION].ending is Ending.DONE and outcomes[EXPORT].ending is Ending.DONE
    assert [key.split("-")[0] for key, _ in project.backend.submissions].count("evaluationjob") == 1
    assert project.plan().plan.pending == ()


def test_ctrl_c_leaves_the_job_running_and_the_next_apply_attaches(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.backend.polls = 3

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(places, "pause", interrupt)
        with pytest.raises(KeyboardInterrupt):
            project.apply()
    state = project.plan().state
    assert state.runs(ROUTER)[0].status is RunStatus.SUBMITTED
    assert state.operations(1)[0].outcome == "interrupted"
    project.apply()
    assert next(attempt for key, attempt in project.backend.submissions if "router-" in key) == 1
    assert len(project.backend.submissions) == 3


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_around_the_submission_never_submits_twice(
    project: Project, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    submit = project.backend.submit

    def crash(spec: object) -> object:
        if when == "after":
            submit(spec)  # type: ignore[arg-type]
        raise SystemExit(137)

    with monkeypatch.context() as patched:
        patched.setattr(project.backend, "submit", crash)
        with pytest.raises(SystemExit):
            project.apply()
    assert project.plan().state.runs(ROUTER)[0].status is RunStatus.INTENT
    project.apply()
    assert len(project.backend.submissions) == len(set(project.backend.submissions)) == 3
    assert {attempt for _, attempt in project.backend.submissions} == {1}


def test_parallelism_and_free_cores_bound_what_runs_at_once(project: Project) -> None:
    for index in range(6):
        project.add_job(f"job-{index}", num_cpu=2, learning_rate=0.001 * (index + 1))
    project.backend.polls = 3
    project.backend.free = Capacity(6, 0, 64)
    project.apply(parallelism=16)
    assert project.backend.most_at_once == 3
    assert len(project.backend.submissions) == 9


def test_a_job_larger_than_the_machine_runs_alone(project: Project) -> None:
    project.backend.free = Capacity(1, 0, 1)
    project.add_job("other")
    outcomes = project.apply()
    assert {outcome.ending for outcome in outcomes.values()} == {Ending.DONE}
    assert project.backend.most_at_once == 1


def test_two_jobs_that_say_the_same_run_once(project: Project) -> None:
    project.add_job("one")
    project.add_job("two")
    outcomes = project.apply(parallelism=1)
    endings = sorted(outcomes[Ref("FineTuningJob", name)].ending for name in ("one", "two"))
    assert endings == [Ending.DONE, Ending.REUSED]


def test_going_back_to_an_earlier_value_reuses_its_artifact(project: Project) -> None:
    project.apply()
    project.edit("train_test_split: 0.85", "train_test_split: 0.8")
    project.apply()
    project.edit("train_test_split: 0.8", "train_test_split: 0.85")
    verbs = {action.ref: action.verb for action in project.plan().plan.pending}
    assert verbs == {ROUTER: Verb.REUSE, EVALUATION: Verb.REUSE, EXPORT: Verb.REUSE}
    submitted = len(project.backend.submissions)
    project.apply()
    assert len(project.backend.submissions) == submitted
    assert project.plan().plan.pending == ()


def test_an_adapter_whose_folder_vanished_is_trained_again(project: Project) -> None:
    project.apply()
    shutil.rmtree(project.root / project.plan().state.records()[ROUTER].outcome["output"]["adapter"])
    pending = project.plan().plan.pending
    assert [(a.ref, a.verb) for a in pending] == [(ROUTER, Verb.REPLACE)]
    assert "neither on this disk nor kept" in pending[0].reason
    project.apply()
    assert project.plan().plan.pending == ()


def test_a_description_is_recorded_in_place_and_never_retrains(project: Project) -> None:
    project.apply()
    project.edit("metadata: {name: router, ", "metadata: {name: router, description: sorts tickets, ")
    assert [(a.ref, a.verb) for a in project.plan().plan.pending] == [(ROUTER, Verb.UPDATE)]
    project.apply()
    record = project.plan().state.records()[ROUTER]
    assert record.metadata["description"] == "sorts tickets" and record.outcome["output"]["adapter"]
    assert len(project.backend.submissions) == 3


def test_a_process_that_lost_its_lease_writes_nothing_more(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = open_engine("sqlite:///.studio/state.db", project.root)
    project.backend.polls = 3

    def usurp(_: float) -> None:
        with engine.begin() as connection:
            connection.execute(lease.leases.update().values(token=lease.leases.c.token + 1))

    monkeypatch.setattr(places, "pause", usurp)
    with pytest.raises(LeaseLostError):
        project.apply()
    assert ROUTER not in project.plan().state.records()


def test_an_operation_says_who_applied_what_from_which_commit(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTOR", "octocat")
    monkeypatch.setenv("GITHUB_SHA", "0123456789abcdef0123456789abcdef01234567")
    project.apply()
    operation = project.plan().state.operations(1)[0]
    assert (operation.actor, operation.outcome) == ("octocat", "succeeded")
    assert operation.commit.startswith("0123456789abcdef")
    assert operation.summary["FineTuningJob/router"] == "done"
    project.apply()
    assert len(project.plan().state.operations()) == 1  # nothing to do leaves no trace


def test_a_plan_that_changed_since_is_made_again_under_the_lease(project: Project) -> None:
    planned = project.plan()
    project.apply()
    again = applying.apply(planned, Notes(), 4)
    assert again.plan.pending == ()
    assert len(project.backend.submissions) == 3
    assert replace(again.plan, serial=0).actions == replace(project.plan().plan, serial=0).actions


def test_a_missed_gate_stays_missed_until_something_changes(project: Project) -> None:
    project.backend.metrics = {"exact_match": 0.41}
    project.edit("  requires: [router-vs-base]", "  requires: []")
    assert project.apply()[EVALUATION].ending is Ending.MISSED
    planned = project.plan()
    assert planned.plan.pending == ()
    assert planning.missed_gates(planned) and project.apply()[EVALUATION].ending is Ending.MISSED


def test_a_renamed_adapter_is_measured_under_its_new_name(project: Project) -> None:
    project.apply()
    project.edit("ticket-router", "queue-router")
    submitted = len(project.backend.submissions)
    assert project.apply()[EVALUATION].ending is Ending.DONE
    record = project.plan().state.records()[EVALUATION]
    assert record.outcome["output"]["combinations"][1]["adapter"] == "queue-router"
    assert [key.split("-")[0] for key, _ in project.backend.submissions[submitted:]] == ["modelexport"]


def test_an_artifact_of_an_export_is_not_reused_past_a_missed_gate(project: Project) -> None:
    project.apply()
    state = project.plan().state
    assert state.artifact("ModelExport", project.plan().desire.items[EXPORT].fingerprint)
    project.edit("min: 0.6,", "min: 0.95,")
    project.edit("metadata: {name: router-release", "metadata: {name: second-release")
    outcomes = project.apply()
    assert outcomes[Ref("ModelExport", "second-release")].ending is Ending.HELD


def test_the_same_work_is_never_under_way_twice(project: Project) -> None:
    project.add_job("one")
    project.add_job("two")
    project.backend.polls = 3
    project.apply(parallelism=8)
    trained = [key for key, _ in project.backend.submissions if key.startswith("finetuningjob")]
    assert len(trained) == 2  # the router, and one of the two equal jobs


def test_without_a_record_of_it_a_job_is_a_further_attempt_of_what_the_backend_knows(project: Project) -> None:
    project.apply()
    (project.root / ".studio" / "state.db").unlink()
    outcomes = project.apply()
    assert {outcome.ending for outcome in outcomes.values()} == {Ending.DONE}
    assert sorted(attempt for _, attempt in project.backend.submissions) == [1, 1, 1, 2, 2, 2]


def test_a_submission_that_is_refused_leaves_no_run_under_way(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(spec: object) -> object:
        raise BackendError("no space", "make some")

    with monkeypatch.context() as patched:
        patched.setattr(project.backend, "submit", refuse)
        assert project.apply()[ROUTER].message == "no space"
    assert project.plan().state.runs(ROUTER)[0].status is RunStatus.FAILED
    assert {outcome.ending for outcome in project.apply().values()} <= {Ending.DONE, Ending.SKIPPED}


def test_a_plan_that_somebody_agreed_to_is_not_applied_after_the_state_moved_on(project: Project) -> None:
    planned = project.plan()
    project.apply()
    with pytest.raises(StalePlanError, match="state was empty when it was made"):
        applying.apply(planned, Notes(), 4, agreed=True)


def test_a_job_that_was_submitted_just_before_a_crash_is_known_by_its_handle(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = project.backend.submit

    def crash(spec: JobSpec) -> Handle:
        submit(spec)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(project.backend, "submit", crash)
        with pytest.raises(KeyboardInterrupt):
            project.apply()
    assert project.plan().state.runs(ROUTER)[0].status is RunStatus.INTENT
    monkeypatch.setattr(CountingBackend, "find", lambda _, key, attempt: Handle(key, attempt, {"id": 7}))
    project.apply()
    run = project.plan().state.runs(ROUTER)[0]
    assert (run.status, run.handle) == (RunStatus.SUCCEEDED, {"id": 7})
    assert len(project.backend.submissions) == 3


@pytest.mark.parametrize("ends", ["well", "badly"])
def test_a_crash_leaves_no_record_of_a_job_whose_run_looks_open(
    project: Project, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    if ends == "badly":
        project.backend.ends["router"] = failed("out of memory")
    save = SqlState.save_run

    def crash(state: SqlState, run: Run) -> None:
        if run.finished_at:
            raise KeyboardInterrupt
        save(state, run)

    with monkeypatch.context() as patched:
        patched.setattr(SqlState, "save_run", crash)
        with pytest.raises(KeyboardInterrupt):
            project.apply()
    state = project.plan().state
    assert ROUTER not in state.records()
    assert state.artifact("FineTuningJob", project.plan().desire.items[ROUTER].fingerprint) is None
    project.apply()
    assert not [run for run in project.plan().state.runs() if not run.finished_at]
    assert len(set(project.backend.submissions)) == len(project.backend.submissions)


def test_an_operation_that_was_killed_says_so_once_the_next_one_begins(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = SqlState.save_operation

    def crash(state: SqlState, operation: Operation) -> None:
        if operation.outcome:
            raise KeyboardInterrupt
        save(state, operation)

    with monkeypatch.context() as patched:
        patched.setattr(SqlState, "save_operation", crash)
        with pytest.raises(KeyboardInterrupt):
            project.apply()
    assert [each.outcome for each in project.plan().state.operations()] == [""]
    project.add_job("other")
    project.apply()
    assert sorted(each.outcome for each in project.plan().state.operations()) == ["killed", "succeeded"]


# Registering


def test_what_runs_no_job_is_recorded_at_once_and_told_afterwards(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[list[Ref]] = []
    notes = Notes()
    save = SqlState.save_records

    def noted(state: SqlState, records: Iterable[Record]) -> None:
        several = list(records)
        batches.append([record.ref for record in several])
        assert len(several) == 1 or not notes.outcomes
        save(state, several)

    monkeypatch.setattr(SqlState, "save_records", noted)
    outcomes = applying.apply(project.plan(), notes, 4).outcomes
    assert {ref.kind for ref in batches[0]} == {"Dataset", "Model", "Prompt", "Config"}
    assert batches[1:] == [[ROUTER], [EVALUATION], [EXPORT]]
    assert [outcome.action.ref for outcome in notes.outcomes] == [*batches[0], ROUTER, EVALUATION, EXPORT]
    assert set(outcomes) == set(project.plan().state.records())


def test_where_the_records_cannot_be_written_nothing_is_told(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = Notes()

    def refuse(*_: object) -> None:
        raise LeaseLostError("somebody else holds it", "wait")

    with monkeypatch.context() as patched:
        patched.setattr(SqlState, "save_records", refuse)
        with pytest.raises(LeaseLostError):
            applying.apply(project.plan(), notes, 4)
    assert notes.outcomes == [] and project.backend.submissions == [] and project.plan().state.records() == {}


ADAPTER = """\
apiVersion: studio/v1
kind: Adapter
metadata: {name: ticket-router}
spec: {model: tiny-llama, fine_tuning_job: router}
"""


@pytest.mark.parametrize("ends", [Ending.DONE, Ending.FAILED])
def test_an_adapter_that_a_job_makes_is_recorded_after_the_job_alone(project: Project, ends: Ending) -> None:
    (project.root / "manifests" / "adapter.yaml").write_text(ADAPTER)
    if ends is Ending.FAILED:
        project.backend.ends["router"] = failed("out of memory")
    notes = Notes()
    outcomes = applying.apply(project.plan(), notes, 4).outcomes
    told = [outcome.action.ref for outcome in notes.outcomes]
    assert told.index(ROUTER) < told.index(MADE)
    assert outcomes[MADE].ending is (Ending.DONE if ends is Ending.DONE else Ending.BLOCKED)
    assert (MADE in project.plan().state.records()) is (ends is Ending.DONE)
