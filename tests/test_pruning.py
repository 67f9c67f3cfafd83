"""What is recorded and has no manifest any more: deleted, forgotten or kept, dependants first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core.references import Ref
from studio.load.settings import Project
from studio.plan.actions import Kept, Plan, Verb
from studio.plan.decide import Recorded, make_plan
from studio.plan.pruning import PROTECTED, dependants_first, divide, recorded_needs
from studio.plan.selection import Selection, Unmanaged, turned
from tests import projects
from tests.projects import Document, changed, support_desk, with_spec
from tests.test_selection import EVALUATION, EXPORT, JOB, graphs

PRUNE, FORGET = Unmanaged.DELETE, Unmanaged.FORGET
DATASET, MODEL, PROMPT, CONFIG = (
    Ref("Dataset", "tickets"), Ref("Model", "tiny"), Ref("Prompt", "route"), Ref("Config", "lora"),
)  # fmt: skip

OTHER = [projects.manifest("Model", "other", {"type": "project", "location": "models/tiny"})]


def pruned(
    root: Path, documents: list[Document], selection: Selection | None = None, protected: tuple[Ref, ...] = ()
) -> Plan:
    """The plan for ``documents`` with --prune after ``support_desk`` was applied."""
    past = projects.recorded(projects.wanted(projects.write(root, support_desk())))
    records = {
        ref: replace(record, metadata={**record.metadata, **({"protect": True} if ref in protected else {})})
        for ref, record in past.records.items()
    }
    made = projects.wanted(projects.write(root, documents))
    past = Recorded(past.lineage, records, past.artifacts)
    return make_plan(made, past, "default", Project(), selection or Selection(unmanaged=PRUNE))


def removed(plan: Plan) -> list[Ref]:
    return [each.ref for each in plan.actions if each.verb is Verb.DELETE]


def test_what_has_no_manifest_is_deleted_dependants_first(tmp_path: Path) -> None:
    plan = pruned(tmp_path, support_desk()[:4])
    assert removed(plan) == [EXPORT, EVALUATION, JOB]
    needs = {each.ref: each.needs for each in plan.actions}
    assert needs[EXPORT] == () and set(needs[JOB]) == {EVALUATION, EXPORT} and needs[EVALUATION] == (EXPORT,)
    assert {each.reason for each in plan.pending} == {"it has no manifest any more"}


def test_without_prune_it_is_kept(tmp_path: Path) -> None:
    plan = pruned(tmp_path, support_desk()[:4], Selection())
    assert removed(plan) == [] and plan.kept == tuple(Kept(each, "no manifest") for each in (EVALUATION, JOB, EXPORT))


def test_forgetting_drops_the_same_records(tmp_path: Path) -> None:
    plan = pruned(tmp_path, support_desk()[:4], Selection(unmanaged=FORGET))
    assert [(each.ref, each.verb) for each in plan.pending] == [
        (EXPORT, Verb.FORGET), (EVALUATION, Verb.FORGET), (JOB, Verb.FORGET),
    ]  # fmt: skip


def test_what_is_deleted_waits_for_the_update_of_what_used_it(tmp_path: Path) -> None:
    documents = with_spec(support_desk(), "FineTuningJob", lora_config={"r": 4})
    plan = pruned(tmp_path, [each for each in documents if each["kind"] != "Config"])
    assert removed(plan) == [CONFIG] and plan.actions[-1].needs == (JOB,)


def test_what_is_left_out_keeps_what_its_record_needs(tmp_path: Path) -> None:
    documents = with_spec(support_desk(), "FineTuningJob", lora_config={"r": 4})
    selection = Selection(exclude=("train",), unmanaged=PRUNE)
    plan = pruned(tmp_path, [each for each in documents if each["kind"] != "Config"], selection)
    assert removed(plan) == [] and plan.kept == (Kept(CONFIG, f"needed by {JOB}"),)


def test_a_protected_resource_stays_with_all_it_needs(tmp_path: Path) -> None:
    plan = pruned(tmp_path, OTHER, protected=(JOB,))
    assert removed(plan) == [EXPORT, EVALUATION]
    assert {each.ref: each.reason for each in plan.kept} == {
        JOB: PROTECTED, DATASET: f"needed by {JOB}", MODEL: f"needed by {JOB}", CONFIG: f"needed by {JOB}",
        PROMPT: f"needed by {JOB}",
    }  # fmt: skip


def test_protection_holds_against_forgetting_too(tmp_path: Path) -> None:
    plan = pruned(tmp_path, support_desk()[:-1], Selection(unmanaged=FORGET), protected=(EXPORT,))
    assert plan.pending == () and plan.kept == (Kept(EXPORT, PROTECTED),)


def test_a_target_prunes_what_it_names_and_what_needed_that(tmp_path: Path) -> None:
    plan = pruned(tmp_path, support_desk()[:4], Selection(target=("compare",), unmanaged=PRUNE))
    assert removed(plan) == [EXPORT, EVALUATION]
    assert plan.kept == (Kept(JOB, "left out"),)


def test_an_exclusion_keeps_what_it_names_and_what_that_needs(tmp_path: Path) -> None:
    plan = pruned(tmp_path, OTHER, Selection(exclude=("compare",), unmanaged=PRUNE))
    assert removed(plan) == [EXPORT]
    assert {each.reason for each in plan.kept if each.ref != EVALUATION} == {
        f"needed by {EVALUATION}",
        f"needed by {JOB}",
    }


def test_the_order_holds_where_a_kind_is_not_known_any_more(tmp_path: Path) -> None:
    made = projects.wanted(projects.write(tmp_path, support_desk()))
    records = dict(projects.recorded(made).records)
    odd = replace(records[JOB], spec={"no": "such"}, inputs={"Dataset/tickets": "0", "content": "1", "inline": "2"})
    alien = replace(records[MODEL], ref=Ref("Robot", "r2"))
    needs = recorded_needs({**records, JOB: odd, alien.ref: alien})
    assert needs[JOB] == (DATASET,) and needs[alien.ref] == ()


@pytest.mark.parametrize("edit", [{"adapter_name": "other"}, {"adapter_name": ""}])
def test_the_adapter_that_a_job_made_leads_to_the_job(tmp_path: Path, edit: dict[str, Any]) -> None:
    made = projects.wanted(projects.write(tmp_path, support_desk()))
    records = dict(projects.recorded(made).records)
    assert JOB in recorded_needs(records)[EXPORT]
    records[EXPORT] = replace(records[EXPORT], inputs={})
    assert JOB in recorded_needs(records)[EXPORT]
    records[JOB] = replace(records[JOB], spec={**records[JOB].spec, **edit})
    assert JOB not in recorded_needs(records)[EXPORT]


def test_more_than_a_third_of_ten_or_more_records_needs_force(tmp_path: Path) -> None:
    models = [projects.manifest("Model", f"m{n}", {"type": "project", "location": "models/tiny"}) for n in range(12)]
    past = projects.recorded(projects.wanted(projects.write(tmp_path, models)))

    def plan(kept: int, selection: Selection, records: int = 12) -> Plan:
        made = projects.wanted(projects.write(tmp_path, models[:kept]))
        some = dict(sorted(past.records.items(), key=lambda each: int(each[0].name[1:]))[:records])
        return make_plan(made, Recorded(past.lineage, some), "default", Project(), selection)

    prune = Selection(unmanaged=PRUNE)
    assert not plan(9, prune).safety.exceeded and plan(8, prune).safety.exceeded
    assert plan(8, Selection(unmanaged=FORGET)).safety.exceeded
    assert not plan(1, prune, records=9).safety.exceeded
    assert not plan(8, Selection(unmanaged=PRUNE, destroy=True)).safety.exceeded
    assert not plan(8, Selection()).safety.exceeded


def test_replaced_jobs_count_towards_the_limit(tmp_path: Path) -> None:
    models = [projects.manifest("Model", f"m{n}", {"type": "project", "location": "models/tiny"}) for n in range(5)]
    past = projects.recorded(projects.wanted(projects.write(tmp_path, [*support_desk(), *models])))

    def safety(models: list[Document], rate: float) -> Any:
        documents = changed(support_desk(), "FineTuningJob", lambda each: each["spec"].update(learning_rate=rate))
        made = projects.wanted(projects.write(tmp_path, [*documents, *models]))
        return make_plan(made, past, "default", Project(), Selection(unmanaged=PRUNE)).safety

    assert (safety(models, 0.5).replaced, safety(models, 0.5).exceeded) == (3, False)
    assert (safety(models[:4], 0.5).removed, safety(models[:4], 0.5).exceeded) == (1, True)


# Any graph at all


@given(graphs(), st.data())
def test_every_dependant_goes_before_what_it_needs(edges: dict[Ref, list[Ref]], data: st.DataObject) -> None:
    some = data.draw(st.sets(st.sampled_from(sorted(edges)))) if edges else set()
    order = dependants_first(some, edges)
    assert sorted(order) == sorted(some)
    place = {ref: index for index, ref in enumerate(order)}
    assert all(place[ref] < place[need] for ref in some for need in edges[ref] if need in some)


@given(graphs(), st.data())
def test_nothing_that_stays_needs_what_goes(edges: dict[Ref, list[Ref]], data: st.DataObject) -> None:
    names = sorted(edges)
    removable = data.draw(st.sets(st.sampled_from(names))) if names else set()
    protected = data.draw(st.sets(st.sampled_from(names))) if names else set()
    staying = set(names) - removable
    going, kept = divide(removable, protected, sorted(staying), edges)
    assert going | {each.ref for each in kept} == removable and not going & protected
    assert not any(need in going for ref in set(names) - going for need in edges[ref])
    users = turned(edges)
    for each in kept:
        assert each.reason == PROTECTED or any(f"needed by {user}" == each.reason for user in users[each.ref])


def test_what_needs_itself_in_a_circle_is_ordered_all_the_same() -> None:
    a, b, c = Ref("Model", "a"), Ref("Model", "b"), Ref("Model", "c")
    assert dependants_first({a, b, c}, {a: [b], b: [a], c: [a]}) == [c, a, b]
