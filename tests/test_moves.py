"""Records move to other names: by renamed_from, or by a uid that they have; nothing is trained again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core.errors import StudioError
from studio.core.references import Ref
from studio.load.settings import Project
from studio.plan.actions import Move, Plan, Verb, to_json
from studio.plan.decide import Recorded, make_plan
from studio.plan.moves import after
from studio.plan.selection import WHOLE, Selection, SelectionError, Unmanaged
from tests import projects
from tests.projects import Document, support_desk, verbs
from tests.test_removing import Desk, desk  # noqa: F401
from tests.test_selection import EVALUATION, EXPORT, JOB

NEW = Ref("FineTuningJob", "router")
PRUNE = Selection(unmanaged=Unmanaged.DELETE)


def renamed(kind: str, name: str, **metadata: Any) -> list[Document]:
    """The support desk with the first of a kind under another name, and references to it that follow."""
    documents = support_desk()
    old = projects.pick(documents, kind)["metadata"]["name"]
    projects.pick(documents, kind)["metadata"] = {
        **projects.pick(documents, kind)["metadata"], "name": name, **metadata,
    }  # fmt: skip
    fields = {"Dataset": "dataset", "Model": "base_model", "Prompt": "prompt", "Config": "lora_config"}
    for document in documents:
        spec = document["spec"]
        if spec.get(fields.get(kind, "")) == old:
            spec[fields[kind]] = name
        for combination in spec.get("model_adapter_combinations", ()):
            if kind == "Model":
                combination["base_model"] = name
        if kind == "EvaluationJob" and "requires" in spec:
            spec["requires"] = [name]
    return documents


def past(root: Path) -> Recorded:
    return projects.recorded(projects.wanted(projects.write(root, support_desk())))


def planned(root: Path, documents: list[Document], before: Recorded, selection: Selection = WHOLE) -> Plan:
    made = projects.wanted(projects.write(root, documents))
    return make_plan(made, before, "default", Project(), selection)


def action(plan: Plan, ref: Ref) -> Any:
    return next(each for each in plan.actions if each.ref == ref)


@pytest.mark.parametrize(
    "kind", ["Dataset", "Model", "Prompt", "Config", "FineTuningJob", "EvaluationJob", "ModelExport"]
)
def test_a_renamed_resource_moves_and_nothing_else_is_touched(tmp_path: Path, kind: str) -> None:
    before = past(tmp_path)
    old = next(ref for ref in before.records if ref.kind == kind)
    plan = planned(tmp_path, renamed(kind, "fresh-name", renamed_from=old.name), before)
    assert verbs(plan) == {f"{kind}/fresh-name": "update"} and plan.kept == () and plan.warnings == ()
    moved = action(plan, Ref(kind, "fresh-name"))
    assert moved.moved_from == old and moved.reason == f"it was {old}" and moved.changes == ()
    assert plan.moves == (Move(old, moved.ref),)


def test_without_renamed_from_it_is_created_and_the_old_one_kept(tmp_path: Path) -> None:
    plan = planned(tmp_path, renamed("FineTuningJob", "router"), past(tmp_path))
    assert verbs(plan)[str(NEW)] == "reuse" and [each.ref for each in plan.kept] == [JOB] and plan.moves == ()


def test_a_uid_adopts_the_record_that_has_it(tmp_path: Path) -> None:
    before = past(tmp_path)
    uid = before.records[JOB].uid
    plan = planned(tmp_path, renamed("FineTuningJob", "router", uid=uid), before)
    assert action(plan, NEW).moved_from == JOB and verbs(plan) == {str(NEW): "update"}
    assert [change.path for change in action(plan, NEW).changes] == ["metadata.uid"]


def test_a_move_with_an_outcome_change_is_a_replacement_that_says_both(tmp_path: Path) -> None:
    documents = renamed("FineTuningJob", "router", renamed_from="train")
    documents = projects.with_spec(documents, "FineTuningJob", learning_rate=0.5)
    plan = planned(tmp_path, documents, past(tmp_path))
    assert verbs(plan) == {str(NEW): "replace", str(EVALUATION): "replace", str(EXPORT): "replace"}
    assert action(plan, NEW).moved_from == JOB and action(plan, NEW).reason == "spec.learning_rate 0.002 → 0.5"


def test_what_moves_is_not_pruned(tmp_path: Path) -> None:
    plan = planned(tmp_path, renamed("FineTuningJob", "router", renamed_from="train"), past(tmp_path), PRUNE)
    assert plan.counts[Verb.DELETE] == 0 and plan.safety.removed == 0


def test_what_is_left_out_does_not_move(tmp_path: Path) -> None:
    documents = renamed("FineTuningJob", "router", renamed_from="train")
    plan = planned(tmp_path, documents, past(tmp_path), replace(PRUNE, exclude=("router",)))
    assert plan.moves == () and plan.pending == () and (NEW, Verb.UPDATE) in [(e.ref, e.verb) for e in plan.left_out]
    with pytest.raises(SelectionError, match="'FineTuningJob/train' matches nothing"):
        planned(tmp_path, documents, past(tmp_path), Selection(target=("FineTuningJob/train",)))


def test_once_it_moved_renamed_from_may_stay_or_go(tmp_path: Path) -> None:
    before = past(tmp_path)
    documents = renamed("FineTuningJob", "router", renamed_from="train")
    plan = planned(tmp_path, documents, before)
    then = replace(before, records=after(before.records, plan.moves))
    assert planned(tmp_path, documents, then).pending == ()
    assert planned(tmp_path, renamed("FineTuningJob", "router"), then).pending == ()


def test_in_an_environment_where_nothing_was_applied_it_is_created(tmp_path: Path) -> None:
    documents = renamed("FineTuningJob", "router", renamed_from="train")
    plan = planned(tmp_path, documents, Recorded(past(tmp_path).lineage))
    assert verbs(plan)[str(NEW)] == "create" and plan.warnings == () and plan.moves == ()


def test_a_misspelt_old_name_is_answered_with_the_nearest(tmp_path: Path) -> None:
    plan = planned(tmp_path, renamed("FineTuningJob", "router", renamed_from="trian"), past(tmp_path))
    assert plan.moves == () and plan.warnings == (
        "FineTuningJob/router: renamed_from names 'trian', which is not recorded; did you mean 'train'?",
    )


def test_where_both_are_recorded_nothing_moves_and_the_plan_says_so(tmp_path: Path) -> None:
    before = past(tmp_path)
    both = {**before.records, NEW: replace(before.records[JOB], ref=NEW, uid="another")}
    plan = planned(tmp_path, renamed("FineTuningJob", "router", renamed_from="train"), replace(before, records=both))
    assert plan.moves == () and [each.ref for each in plan.kept] == [JOB]
    words = "FineTuningJob/router and FineTuningJob/train are both recorded, so renamed_from moves nothing"
    assert plan.warnings == (f"{words}; --prune deletes FineTuningJob/train",)


@pytest.mark.parametrize(
    ("kind", "owner", "words"),
    [
        ("FineTuningJob", EVALUATION, "of another kind"),
        ("FineTuningJob", Ref("FineTuningJob", "other"), "which has a manifest"),
    ],
)
def test_an_id_of_somebody_else_is_refused(tmp_path: Path, kind: str, owner: Ref, words: str) -> None:
    before = past(tmp_path)
    documents = support_desk()
    documents.append(projects.manifest("FineTuningJob", "other", projects.pick(documents, kind)["spec"]))
    documents[-1]["spec"]["adapter_name"] = "other"
    records = {**before.records}
    records.setdefault(owner, replace(before.records[JOB], ref=owner, uid="its-own"))
    projects.pick(documents, kind)["metadata"]["uid"] = records[owner].uid
    with pytest.raises(StudioError, match=f"the uid of {JOB} is that of {owner}, {words}") as refused:
        planned(tmp_path, documents, replace(before, records=records))
    assert "metadata.uid" in refused.value.hint


def test_two_that_claim_one_record_are_refused(tmp_path: Path) -> None:
    before = past(tmp_path)
    documents = renamed("FineTuningJob", "router", renamed_from="train")
    twin = projects.manifest("FineTuningJob", "twin", projects.pick(documents, "FineTuningJob")["spec"])
    twin["metadata"]["uid"] = before.records[JOB].uid
    twin["spec"]["adapter_name"] = "twin"
    with pytest.raises(StudioError, match="FineTuningJob/router and FineTuningJob/twin both claim the record of"):
        planned(tmp_path, [*documents, twin], before)


def test_a_new_uid_of_a_recorded_resource_is_written_down(tmp_path: Path) -> None:
    documents = support_desk()
    projects.pick(documents, "FineTuningJob")["metadata"]["uid"] = "chosen"
    plan = planned(tmp_path, documents, past(tmp_path))
    assert verbs(plan) == {str(JOB): "update"} and plan.moves == ()


def test_moves_are_part_of_the_json_form(tmp_path: Path) -> None:
    plan = planned(tmp_path, renamed("FineTuningJob", "router", renamed_from="train"), past(tmp_path))
    found = {each["resource"]: each["moved_from"] for each in to_json(plan)["actions"]}
    assert found[str(NEW)] == str(JOB) and found[str(EXPORT)] is None
    assert to_json(plan)["counts"]["move"] == 1


@given(st.permutations(["a", "b", "c", "d"]))
def test_moves_keep_every_uid_once(tmp_path: Path, names: list[str]) -> None:
    record = next(iter(past(tmp_path).records.values()))
    records = {Ref("Config", n): replace(record, ref=Ref("Config", n), uid=f"uid-{n}") for n in names}
    moves = [Move(Ref("Config", n), Ref("Config", f"new-{n}")) for n in names[:2]]
    moved = after(records, moves)
    assert {each.uid for each in moved.values()} == {each.uid for each in records.values()}
    assert all(moved[move.new].uid == records[move.old].uid and move.old not in moved for move in moves)
    assert list(moved) == sorted(moved) and all(ref == each.ref for ref, each in moved.items())


# Through apply


def test_apply_moves_record_runs_and_outcome_and_trains_nothing(desk: Desk) -> None:  # noqa: F811
    desk.apply()
    before = desk.records()
    submitted = len(desk.backend.submissions)
    router = desk.root / "manifests" / "router.yaml"
    text = router.read_text()
    router.write_text(text.replace("{name: router,", "{name: queue-router, renamed_from: router,"))
    planned = desk.plan()
    assert [(str(each.ref), each.moved_from) for each in planned.plan.pending] == [
        ("FineTuningJob/queue-router", Ref("FineTuningJob", "router"))
    ]  # fmt: skip
    desk.apply()
    after = desk.records()
    new = after[Ref("FineTuningJob", "queue-router")]
    old = before[Ref("FineTuningJob", "router")]
    assert Ref("FineTuningJob", "router") not in after
    assert (new.uid, new.outcome, new.created_at) == (old.uid, old.outcome, old.created_at)
    assert (desk.root / new.outcome["output"]["adapter"]).is_dir()
    assert desk.plan().plan.pending == () and len(desk.backend.submissions) == submitted
    assert [run.ref.name for run in desk.plan().state.runs(new.ref)] == ["queue-router"]
    router.write_text(text.replace("{name: router,", "{name: queue-router,"))
    assert desk.plan().plan.pending == ()


def test_apply_of_a_moved_job_that_changed_trains_under_the_new_name(desk: Desk) -> None:  # noqa: F811
    desk.apply()
    uid = desk.records()[Ref("FineTuningJob", "router")].uid
    router = desk.root / "manifests" / "router.yaml"
    text = router.read_text().replace("{name: router,", "{name: queue-router, renamed_from: router,")
    router.write_text(text.replace("learning_rate: 3.0e-3", "learning_rate: 2.0e-3"))
    desk.apply()
    assert desk.records()[Ref("FineTuningJob", "queue-router")].uid == uid
    assert [key for key, _ in desk.backend.submissions if key.startswith("finetuningjob-queue-router")]
    assert desk.plan().plan.pending == ()
