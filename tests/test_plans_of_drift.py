"""What a plan makes of drift: nothing that nobody looked for, and each difference with its reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from studio.core.references import Ref
from studio.load.settings import Project
from studio.plan.actions import Action, Plan, Refreshed, Verb
from studio.plan.decide import Recorded, make_plan
from studio.plan.drift import Drift, by_resource
from studio.plan.drift_facts import FACTS, Remedy
from studio.plan.selection import Selection
from studio.report.plans import to_text
from studio.resources.base import Effect
from studio.state.base import RecordStatus
from tests import projects
from tests.projects import support_desk, verbs, with_spec

TRAIN, RELEASE = Ref("FineTuningJob", "train"), Ref("ModelExport", "release")
OUTPUT = {"model_name": "router", "model_version": "3", "description": "words"}


def drift(ref: Ref, fact: str, recorded: object, found: object) -> Drift:
    known = FACTS[fact]
    reason = (known.gone if found is None else known.changed).format(where="it")
    remedy = known.if_gone if found is None and known.if_gone else known.remedy
    return Drift(ref, fact, recorded, found, reason, remedy, known.ignored, known.planned, known.revised)


EDITED = drift(RELEASE, "version.description", "words", "other words")
GONE = drift(RELEASE, "version", "there", None)
POISONED = drift(TRAIN, "adapter", "a" * 64, "b" * 64)


def past(root: Path, *drifts: Drift) -> Recorded:
    documents = with_spec(support_desk(), "ModelExport", model_description="words")
    made = projects.recorded(projects.wanted(projects.write(root, documents)))
    outcome = {"output": OUTPUT, "run_key": "modelexport-release"}
    records = {**made.records, RELEASE: replace(made.records[RELEASE], outcome=outcome)}
    return replace(made, records=records, drift=by_resource(drifts), refreshed=Refreshed.OFFLINE)


def action(plan: Plan, ref: Ref) -> Action:
    return next(each for each in plan.actions if each.ref == ref)


def test_an_edited_description_is_an_update_from_what_is_there_to_what_was_said(tmp_path: Path) -> None:
    made = projects.plan(tmp_path, past(tmp_path, EDITED))
    assert verbs(made) == {str(RELEASE): "update"} and made.refreshed is Refreshed.OFFLINE
    found = action(made, RELEASE)
    [change] = found.changes
    assert (change.path, change.old, change.new) == ("version.description", "other words", "words")
    assert change.effect is Effect.DESCRIPTIVE and change.reason.startswith("drift: ")
    assert found.revises and not found.dispatches and not found.fresh
    text = to_text(made, projects.wanted(tmp_path), color=False)
    assert "because drift: the description of it was edited in the registry" in text


@pytest.mark.parametrize(("lost", "ref"), [(GONE, RELEASE), (POISONED, TRAIN)])
def test_what_is_lost_is_replaced_from_nothing_and_what_used_it_is_left_alone(
    tmp_path: Path, lost: Drift, ref: Ref
) -> None:
    made = projects.plan(tmp_path, past(tmp_path, lost))
    assert verbs(made) == {str(ref): "replace"}
    found = action(made, ref)
    assert found.fresh and found.dispatches and not found.revises
    assert found.reason == f"drift: {lost.reason}" and found.changes[0].effect is Effect.OUTCOME


def test_digests_are_shortened_in_a_plan(tmp_path: Path) -> None:
    [change] = action(projects.plan(tmp_path, past(tmp_path, POISONED)), TRAIN).changes
    assert (change.old, change.new) == ("b" * 12, "a" * 12)


def test_a_loss_outweighs_a_description(tmp_path: Path) -> None:
    found = action(projects.plan(tmp_path, past(tmp_path, EDITED, GONE)), RELEASE)
    assert found.verb is Verb.REPLACE and not found.revises and found.reason == f"drift: {GONE.reason}"


def test_drift_of_what_the_manifest_changed_anyway_says_nothing_more(tmp_path: Path) -> None:
    recorded = past(tmp_path, POISONED)
    projects.write(tmp_path, with_spec(support_desk(), "FineTuningJob", learning_rate=0.5))
    found = action(projects.plan(tmp_path, recorded), TRAIN)
    assert found.verb is Verb.REPLACE and not found.fresh and "drift" not in found.reason


def test_a_failed_job_is_retried_and_its_earlier_loss_is_no_news(tmp_path: Path) -> None:
    recorded = past(tmp_path, POISONED)
    failed = replace(recorded.records[TRAIN], status=RecordStatus.FAILED)
    artifacts = {**recorded.artifacts, "FineTuningJob": frozenset[str]()}
    made = projects.plan(tmp_path, replace(recorded, records={**recorded.records, TRAIN: failed}, artifacts=artifacts))
    assert action(made, TRAIN).verb is Verb.RETRY


def test_what_is_left_out_is_left_out_however_it_drifted(tmp_path: Path) -> None:
    recorded = past(tmp_path, EDITED, POISONED)
    selection = Selection(target=("ModelExport/release",))
    made = make_plan(projects.wanted(tmp_path), recorded, "default", Project(), selection)
    assert verbs(made).get(str(RELEASE)) == "update"


def test_what_is_ignored_planned_anyway_or_left_alone_is_in_no_action(tmp_path: Path) -> None:
    quiet = [
        drift(RELEASE, "version.aliases", [], ["champion"]),
        drift(TRAIN, "mlflow_run", "there", "deleted"),
        drift(TRAIN, "run", "running", "succeeded"),
        drift(TRAIN, "curve", "there", None),
        drift(Ref("Dataset", "tickets"), "content", "c" * 64, "d" * 64),
    ]
    assert by_resource(quiet) == {} and projects.plan(tmp_path, past(tmp_path, *quiet)).pending == ()
    assert {each.remedy for each in quiet if not each.planned} == {Remedy.NOTHING}
