"""Deleting, forgetting and running again, through apply, against a backend that counts submissions."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from studio.apply.manner import Manner
from studio.apply.outcome import Ending, Outcome
from studio.backends import BACKENDS
from studio.core.errors import StudioError, UsageError
from studio.core.jobspec import RemovalWork
from studio.core.references import Ref
from studio.plan.actions import Verb
from studio.plan.selection import WHOLE, Selection, Unmanaged
from studio.state import lease
from studio.state.base import Artifact, Record, RecordStatus, Run, RunStatus
from studio.state.sql import open_engine
from studio.workflow import applying, destroying, editing, places, planning
from tests.fakes.backend import CountingBackend, failed
from tests.test_apply import EVALUATION, EXPORT, QUICKSTART, ROUTER, Notes

PRUNE = Selection(unmanaged=Unmanaged.DELETE)
FORGET = Selection(unmanaged=Unmanaged.FORGET)
SETTINGS = "apiVersion: studio/v1\nkind: Project\nmetadata: {name: desk}\nspec: {environments: {prod: {}}}\n"


class Desk:
    """A copy of the quickstart in two environments that share state, and the backend its jobs go to."""

    def __init__(self, root: Path) -> None:
        shutil.copytree(QUICKSTART, root, ignore=shutil.ignore_patterns(".studio", "build"))
        (root / "studio.yaml").write_text(SETTINGS)
        self.root, self.backend = root, CountingBackend(root)

    def plan(self, selection: Selection = PRUNE, environment: str = "default") -> planning.Planned:
        planned = planning.plan(self.root, environment, selection=selection)
        assert isinstance(planned, planning.Planned), planned.findings
        return planned

    def apply(self, selection: Selection = PRUNE, environment: str = "default") -> dict[Ref, Outcome]:
        planned = self.plan(selection, environment)
        return applying.apply(planned, Notes(), 4, manner=Manner(force=True)).outcomes

    def drop(self, *kinds: str) -> None:
        """Take the manifests of some kinds away."""
        for file in (self.root / "manifests").rglob("*.yaml"):
            documents = file.read_text().split("\n---\n")
            kept = [each for each in documents if not any(f"kind: {kind}\n" in each for kind in kinds)]
            file.write_text("\n---\n".join(kept)) if kept else file.unlink()

    def records(self, environment: str = "default") -> dict[Ref, Record]:
        return dict(self.plan(environment=environment).state.records())

    def artifact(self, ref: Ref, fingerprint: str) -> Artifact | None:
        return self.plan().state.artifact(ref.kind, fingerprint)

    def removals(self) -> list[RemovalWork]:
        return [spec.work for spec in self.backend.specs.values() if isinstance(spec.work, RemovalWork)]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    made = Desk(tmp_path / "project")
    monkeypatch.setitem(BACKENDS, "local", lambda site: made.backend)
    monkeypatch.setattr(places, "pause", lambda _: None)
    yield made


JOBS = ("FineTuningJob", "EvaluationJob", "ModelExport")


def test_what_is_deleted_goes_with_its_run_folder_its_artifact_and_its_registered_version(desk: Desk) -> None:
    desk.apply()
    before = desk.records()
    folder = desk.root / str(before[ROUTER].outcome["run_dir"])
    assert folder.is_dir()
    desk.drop(*JOBS)
    outcomes = desk.apply()
    assert [ref for ref, each in outcomes.items() if each.action.verb is Verb.DELETE] == [EXPORT, EVALUATION, ROUTER]
    assert {outcomes[ref].ending for ref in (ROUTER, EVALUATION, EXPORT)} == {Ending.DELETED}
    assert not folder.exists() and not {ROUTER, EVALUATION, EXPORT} & desk.records().keys()
    assert all(desk.artifact(ref, before[ref].fingerprint) is None for ref in (ROUTER, EVALUATION, EXPORT))
    assert desk.removals() == [
        RemovalWork(
            model_name="ticket-router", model_version="1", made_by=str(before[EXPORT].outcome["run_key"])
        )
    ]  # fmt: skip
    assert desk.plan().plan.pending == () and desk.apply().keys() == desk.records().keys()


def test_what_another_environment_uses_stays(desk: Desk) -> None:
    desk.apply()
    assert desk.apply(environment="prod")[EXPORT].ending is Ending.REUSED
    before = desk.records()
    desk.drop(*JOBS)
    desk.apply()
    assert not {ROUTER, EVALUATION, EXPORT} & desk.records().keys() and desk.removals() == []
    assert all(desk.artifact(ref, before[ref].fingerprint) for ref in (ROUTER, EVALUATION, EXPORT))
    assert (desk.root / str(before[ROUTER].outcome["run_dir"])).is_dir()
    desk.apply(environment="prod")
    assert len(desk.removals()) == 1 and not (desk.root / str(before[ROUTER].outcome["run_dir"])).exists()


def test_what_is_forgotten_leaves_the_thing_for_whoever_comes_back(desk: Desk) -> None:
    desk.apply()
    submitted = len(desk.backend.submissions)
    saved = {file: file.read_text() for file in (desk.root / "manifests").rglob("*.yaml")}
    desk.drop(*JOBS)
    assert {each.ending for each in desk.apply(FORGET).values()} == {Ending.SKIPPED, Ending.FORGOTTEN}
    assert not {ROUTER, EVALUATION, EXPORT} & desk.records().keys()
    for file, text in saved.items():
        file.write_text(text)
    assert {each.ending for each in desk.apply().values()} == {Ending.SKIPPED, Ending.REUSED}
    assert len(desk.backend.submissions) == submitted


def test_what_was_deleted_is_made_again_when_its_manifest_comes_back(desk: Desk) -> None:
    desk.apply()
    saved = {file: file.read_text() for file in (desk.root / "manifests").rglob("*.yaml")}
    for attempt in (2, 3):
        desk.drop(*JOBS)
        desk.apply()
        for file, text in saved.items():
            file.write_text(text)
        assert desk.apply()[EXPORT].ending is Ending.DONE
        assert desk.backend.specs[desk.records()[EXPORT].outcome["run_key"]].attempt == attempt
    assert len(desk.removals()) == 1  # one key, two attempts
    assert sorted(attempt for key, attempt in desk.backend.submissions if key.startswith("remove-")) == [1, 2]


def test_a_version_that_cannot_be_deleted_keeps_the_record_with_the_reason_and_is_tried_again(desk: Desk) -> None:
    desk.apply()
    desk.drop(*JOBS)
    desk.backend.ends["router-release"] = failed("the registry says no")
    outcomes = desk.apply()
    assert outcomes[EXPORT].ending is Ending.FAILED and outcomes[ROUTER].ending is Ending.BLOCKED
    record = desk.records()[EXPORT]
    assert record.status is RecordStatus.FAILED and record.error == "it could not be deleted: the registry says no"
    assert record.outcome["output"]["model_version"] == "1"
    del desk.backend.ends["router-release"]
    assert desk.apply()[ROUTER].ending is Ending.DELETED and EXPORT not in desk.records()


def test_a_resource_whose_job_is_running_is_not_deleted(desk: Desk) -> None:
    desk.apply()
    loaded = desk.plan().checked.loaded
    engine = open_engine(places.state_url(loaded), loaded.root)
    with lease.held(engine, "default", lambda: 1e9) as state:
        [run] = [run for run in state.runs(ROUTER) if run.status is RunStatus.SUCCEEDED]
        state.save_run(replace(run, status=RunStatus.SUBMITTED))
    desk.backend.polled[run.key] = -100
    desk.drop(*JOBS)
    outcome = desk.apply()[ROUTER]
    assert outcome.ending is Ending.FAILED and outcome.message == f"its job {run.key} is still running"
    assert outcome.hint == "wait for it, or stop it with 'studio cancel FineTuningJob/router'; then try again"
    assert desk.records()[ROUTER].status is RecordStatus.READY
    desk.backend.polled[run.key] = 100
    assert desk.apply()[ROUTER].ending is Ending.DELETED
    assert desk.plan().state.runs(ROUTER)[0].status is RunStatus.SUCCEEDED


@pytest.mark.parametrize("hostile", ["data", ".", "..", ".studio", ".studio/runs", ".studio/runs/..", "/tmp"])
def test_a_folder_outside_the_runs_is_never_removed(desk: Desk, hostile: str) -> None:
    desk.apply()
    loaded = desk.plan().checked.loaded
    engine = open_engine(places.state_url(loaded), loaded.root)
    with lease.held(engine, "default", lambda: 1e9) as state:
        record = state.records()[ROUTER]
        state.save_record(replace(record, outcome={**record.outcome, "run_dir": hostile}))
    (desk.root / ".studio" / "runs" / "other").mkdir()
    desk.drop(*JOBS)
    desk.apply()
    assert ROUTER not in desk.records()
    assert (desk.root / "data").is_dir() and (desk.root / ".studio" / "runs" / "other").is_dir()


def test_weights_that_an_adapter_manifest_names_stay_on_disk(desk: Desk) -> None:
    desk.apply()
    adapter = desk.records()[ROUTER].outcome["output"]["adapter"]
    folder = desk.root / adapter
    config = '{"r": 8, "target_modules": ["q_proj"], "base_model_name_or_path": "tiny-llama", "peft_type": "LORA"}'
    (folder / "adapter_config.json").write_text(config)
    shutil.copy(next((desk.root / "models").rglob("*.safetensors")), folder / "adapter_model.safetensors")
    (desk.root / "manifests" / "kept.yaml").write_text(
        "apiVersion: studio/v1\nkind: Adapter\nmetadata: {name: kept}\n"
        f"spec: {{type: project, model: tiny-llama, location: {adapter}}}\n"
    )
    desk.drop(*JOBS)
    desk.apply()
    assert ROUTER not in desk.records() and (folder / "adapter_model.safetensors").is_file()


def test_an_export_to_another_registry_is_not_looked_for_in_this_one(desk: Desk) -> None:
    desk.apply()
    desk.drop(*JOBS)
    (desk.root / "studio.yaml").write_text(
        SETTINGS.replace("spec: {", "spec: {mlflow: {tracking_uri: 'sqlite:///b.db'}, ")
    )
    outcome = desk.apply()[EXPORT]
    assert outcome.ending is Ending.FAILED and "another registry" in outcome.message and "--forget" in outcome.hint
    assert desk.apply(FORGET)[EXPORT].ending is Ending.FORGOTTEN and desk.removals() == []


# destroy


def destroyed(desk: Desk, environment: str = "default", selection: Selection = WHOLE) -> dict[Ref, Outcome]:
    return applying.apply(destroying.plan(desk.root, environment, selection), Notes(), 4).outcomes


def test_destroy_takes_everything_of_one_environment_and_a_second_one_finds_nothing(desk: Desk) -> None:
    desk.apply()
    desk.apply(environment="prod")
    data = sorted((desk.root / "data").iterdir())
    assert {each.ending for each in destroyed(desk).values()} == {Ending.DELETED}
    assert desk.records() == {} and len(desk.records("prod")) == 9 and desk.removals() == []
    assert {each.ending for each in destroyed(desk, "prod").values()} == {Ending.DELETED}
    assert len(desk.removals()) == 1 and not list((desk.root / ".studio" / "runs").glob("[!r]*"))
    assert destroyed(desk) == {} and destroyed(desk, "prod") == {}
    assert sorted((desk.root / "data").iterdir()) == data
    assert sorted(each.command for each in desk.plan().state.operations()) == ["apply", "destroy"]


def retrained(desk: Desk, polls: int) -> Run:
    """The job of a later version of the training, which a detached apply left running."""
    desk.apply()
    router = desk.root / "manifests" / "router.yaml"
    router.write_text(router.read_text().replace("num_epochs: ", "num_epochs: 1"))
    desk.backend.polls = polls
    applying.apply(desk.plan(), Notes(), 4, manner=Manner(detach=True, force=True))
    [run] = desk.plan().state.active()
    assert run.ref == ROUTER and run.fingerprint != desk.records()[ROUTER].fingerprint
    return run


def test_a_destroy_is_refused_whole_while_a_job_runs_of_what_would_go(desk: Desk) -> None:
    run = retrained(desk, polls=1_000_000)
    before = desk.records()
    planned = destroying.plan(desk.root, "default", WHOLE)
    for refuse in (lambda: destroying.demand_idle(planned), lambda: destroyed(desk)):
        with pytest.raises(StudioError, match="a job is still running") as caught:
            refuse()
        assert run.key in caught.value.message and "nothing was deleted" in caught.value.message
        assert "studio cancel FineTuningJob/router" in caught.value.hint
    assert desk.records() == before and desk.backend.discarded == []


def test_a_destroy_takes_along_what_a_later_job_of_the_same_resource_made(desk: Desk) -> None:
    run = retrained(desk, polls=3)
    desk.backend.polls = 0
    assert desk.artifact(ROUTER, run.fingerprint) is None
    assert {each.ending for each in destroyed(desk).values()} == {Ending.DELETED}
    assert desk.artifact(ROUTER, run.fingerprint) is None and desk.plan().state.active() == []
    assert f".studio/runs/{run.key}" in desk.backend.discarded
    assert not list((desk.root / ".studio" / "runs").glob("finetuningjob-*"))


def test_what_was_made_in_another_place_is_not_looked_for_in_this_one(desk: Desk) -> None:
    desk.apply()
    desk.backend.name = "cml:ml.example/p"
    desk.drop(*JOBS)
    assert desk.apply()[ROUTER].ending is Ending.DELETED
    assert desk.backend.discarded == [] and ROUTER not in desk.records()


def test_destroy_leaves_what_a_manifest_protects_even_before_that_was_applied(desk: Desk) -> None:
    desk.apply()
    router = desk.root / "manifests" / "router.yaml"
    text = router.read_text()
    assert "metadata: {name: router," in text
    router.write_text(text.replace("metadata: {name: router,", "metadata: {name: router, protect: true,"))
    destroyed(desk)
    assert ROUTER in desk.records() and not {EVALUATION, EXPORT} & desk.records().keys()
    assert desk.records().keys() >= {Ref("Dataset", "tickets"), Ref("Model", "tiny-llama")}


def test_protection_is_lifted_by_an_apply_and_not_by_taking_the_manifest_away(desk: Desk) -> None:
    router = desk.root / "manifests" / "router.yaml"
    plain = router.read_text()
    router.write_text(plain.replace("metadata: {name: router,", "metadata: {name: router, protect: true,"))
    desk.apply()
    saved = {file: file.read_text() for file in (desk.root / "manifests").rglob("*.yaml")}
    desk.drop(*JOBS)
    desk.apply()
    assert ROUTER in desk.records()
    for file, text in saved.items():
        file.write_text(text)
    router.write_text(plain)
    desk.apply(Selection())
    desk.drop(*JOBS)
    desk.apply()
    assert ROUTER not in desk.records()


def test_destroy_goes_without_manifests_that_can_be_read(desk: Desk) -> None:
    desk.apply()
    for file in (desk.root / "manifests").rglob("*.yaml"):
        file.write_text("kind: [\n")
    destroyed(desk)
    assert destroying.plan(desk.root, "default", WHOLE).plan.recorded == 0


# --replace


def test_a_job_that_is_to_run_again_does_so_as_a_fresh_attempt_and_only_once(desk: Desk) -> None:
    desk.apply()
    before = desk.records()[ROUTER]
    outcomes = desk.apply(Selection(replace=("router",)))
    assert outcomes[ROUTER].ending is Ending.DONE and outcomes[EVALUATION].ending is Ending.SKIPPED
    key = str(before.outcome["run_key"])
    assert [attempt for name, attempt in desk.backend.submissions if name == key] == [1, 2]
    assert desk.backend.specs[key].fresh and desk.plan().plan.pending == ()


def test_a_fresh_run_that_was_left_running_is_waited_for_by_the_next_apply(desk: Desk) -> None:
    desk.apply()
    key = str(desk.records()[ROUTER].outcome["run_key"])
    planned = desk.plan(Selection(replace=("router",)))
    desk.backend.polls = 10**9
    left = applying.apply(planned, Notes(), 4, manner=Manner(detach=True))
    assert left.running == (ROUTER,)
    [action] = desk.plan(Selection()).plan.pending
    assert (action.ref, action.verb, action.attaches, action.fresh) == (ROUTER, Verb.REPLACE, True, True)
    assert action.reason == "it was started again, and its job is under way"
    desk.backend.polls = 1
    assert desk.apply(Selection())[ROUTER].ending is Ending.DONE
    assert [attempt for name, attempt in desk.backend.submissions if name == key] == [1, 2]
    assert desk.plan().plan.pending == ()


def test_a_fresh_run_of_an_earlier_version_is_waited_for_and_its_old_result_is_not_taken_over(desk: Desk) -> None:
    """The version that is recorded is another one, so that what is asked for could be reused."""
    manifest = desk.root / "manifests" / "configs.yaml"
    first = manifest.read_text()
    desk.apply()
    key = str(desk.records()[EVALUATION].outcome["run_key"])
    manifest.write_text(first.replace("max_new_tokens: 8", "max_new_tokens: 9"))
    assert desk.apply()[EVALUATION].ending is Ending.DONE
    manifest.write_text(first)
    assert (EVALUATION, Verb.REUSE) in [(each.ref, each.verb) for each in desk.plan().plan.pending]
    desk.backend.polls = 10**9
    again = desk.plan(Selection(replace=("router-vs-base",)))
    assert applying.apply(again, Notes(), 4, manner=Manner(detach=True)).running == (EVALUATION,)
    planned = desk.plan(Selection())
    [action] = [each for each in planned.plan.pending if each.ref == EVALUATION]
    assert (action.verb, action.attaches, planned.plan.left) == (Verb.REPLACE, True, ())
    desk.backend.polls = 1
    assert desk.apply(Selection())[EVALUATION].attached
    assert [attempt for name, attempt in desk.backend.submissions if name == key] == [1, 2]
    assert desk.records()[EVALUATION].outcome["run_key"] == key and desk.plan().plan.pending == ()


@pytest.mark.parametrize("polls", [1, 3], ids=["ended", "running"])
def test_a_deletion_that_was_left_under_way_is_waited_for_and_not_begun_again(desk: Desk, polls: int) -> None:
    desk.apply()
    desk.drop(*JOBS)
    desk.backend.polls = 10**9
    applying.apply(desk.plan(), Notes(), 4, manner=Manner(force=True, detach=True))
    removal = desk.backend.submissions[-1]
    assert removal[0].startswith("remove-")
    desk.backend.polls = desk.backend.polled[removal[0]] + polls - 1
    assert desk.apply()[EXPORT].ending is Ending.DELETED
    assert [job for job in desk.backend.submissions if job[0] == removal[0]] == [removal]
    runs = desk.plan().state.runs(EXPORT)
    assert {run.status for run in runs} == {RunStatus.SUCCEEDED} and desk.plan().plan.pending == ()


def test_a_detached_apply_leaves_only_actions_that_would_do_something(desk: Desk) -> None:
    desk.apply()
    desk.backend.polls = 10**9
    planned = desk.plan(Selection(replace=(str(EVALUATION),)))
    left = applying.apply(planned, Notes(), 4, manner=Manner(detach=True))
    assert (left.running, left.waiting) == ((EVALUATION,), ())


def test_what_a_protected_resource_needs_is_not_forgotten_by_hand(desk: Desk) -> None:
    router = desk.root / "manifests" / "router.yaml"
    router.write_text(router.read_text().replace("metadata: {name: router,", "metadata: {name: router, protect: true,"))
    desk.apply()
    tickets, loaded = Ref("Dataset", "tickets"), desk.plan().checked.loaded
    with pytest.raises(UsageError, match="needed by what is protected: Dataset/tickets"):
        editing.edit(loaded, "state rm", lambda state: editing.forget(state, [tickets], force=False))
    assert tickets in desk.records()
    editing.edit(loaded, "state rm", lambda state: editing.forget(state, [tickets], force=True))
    assert tickets not in dict(desk.plan().state.records())


# The safety limit


def test_apply_refuses_a_plan_beyond_the_limit_and_says_how_to_go_on(desk: Desk) -> None:
    for number in range(8):
        text = (
            "apiVersion: studio/v1\nkind: Config\nmetadata: {name: c%d}\nspec: {type: lora_config, config: {r: %d}}\n"
        )
        (desk.root / "manifests" / f"c{number}.yaml").write_text(text % (number, number + 1))
    desk.apply()
    for number in range(8):
        (desk.root / "manifests" / f"c{number}.yaml").unlink()
    planned = desk.plan()
    with pytest.raises(
        StudioError, match="8 removed and 0 replaced of 17 recorded resources, more than 30 %"
    ) as refused:
        applying.apply(planned, Notes(), 4)
    assert "--force" in refused.value.hint and len(desk.records()) == 17
    assert {each.ending for each in desk.apply().values()} == {Ending.SKIPPED, Ending.DELETED} and len(
        desk.records()
    ) == 9
