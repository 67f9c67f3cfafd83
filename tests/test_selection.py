"""--target, --exclude, --replace: which resources a plan is about, and which patterns mean nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core.references import Ref
from studio.load.settings import Project
from studio.plan.actions import Plan, to_json
from studio.plan.decide import Recorded, make_plan
from studio.plan.selection import (
    WHOLE,
    Edges,
    Known,
    Selection,
    SelectionError,
    Unmanaged,
    closure,
    from_json,
    resolve,
    turned,
)
from studio.plan.selection import to_json as selection_json
from studio.state.base import Lineage
from tests import projects
from tests.projects import support_desk, verbs, with_spec

JOB, EVALUATION, EXPORT = Ref("FineTuningJob", "train"), Ref("EvaluationJob", "compare"), Ref("ModelExport", "release")


def chosen(root: Path, selection: Selection, **spec: object) -> Plan:
    """A plan for the support desk, recorded as it is but for ``spec`` of its job."""
    past = projects.recorded(projects.wanted(projects.write(root, support_desk())))
    made = projects.wanted(projects.write(root, with_spec(support_desk(), "FineTuningJob", **spec)))
    return make_plan(made, past, "default", Project(), selection)


def refs(plan: Plan) -> set[str]:
    return {str(each.ref) for each in plan.actions}


# --target


@pytest.mark.parametrize(
    "pattern",
    ["FineTuningJob/train", "finetuningjob/train", "train", "FineTuningJob/*", "Fine*/tr?in", "Adapter/router"],
)
def test_a_target_takes_what_it_needs_along_and_nothing_else(tmp_path: Path, pattern: str) -> None:
    plan = chosen(tmp_path, Selection(target=(pattern,)), learning_rate=0.5)
    assert refs(plan) == {"FineTuningJob/train", "Dataset/tickets", "Model/tiny", "Prompt/route", "Config/lora"}
    assert verbs(plan) == {"FineTuningJob/train": "replace"}


def test_what_a_target_leaves_out_is_named_with_what_would_happen_to_it(tmp_path: Path) -> None:
    plan = chosen(tmp_path, Selection(target=("train",)), learning_rate=0.5)
    assert {(str(each.ref), each.verb.value) for each in plan.left_out} == {
        (str(EVALUATION), "replace"), (str(EXPORT), "replace"),
    }  # fmt: skip
    assert sum(plan.counts.values()) == 5


def test_several_targets_add_up(tmp_path: Path) -> None:
    plan = chosen(tmp_path, Selection(target=("Config/lora", "Model/tiny")))
    assert refs(plan) == {"Config/lora", "Model/tiny"}


def test_a_target_that_is_recorded_but_has_no_manifest_plans_nothing(tmp_path: Path) -> None:
    past = projects.recorded(projects.wanted(projects.write(tmp_path, support_desk())))
    made = projects.wanted(projects.write(tmp_path, support_desk()[:4]))
    plan = make_plan(made, past, "default", Project(), Selection(target=("ModelExport/release",)))
    assert plan.actions == () and len(plan.left_out) == 4


# --exclude


def test_what_is_excluded_takes_along_what_needs_it(tmp_path: Path) -> None:
    plan = chosen(tmp_path, Selection(exclude=("FineTuningJob/train",)), learning_rate=0.5)
    assert refs(plan) == {"Dataset/tickets", "Model/tiny", "Prompt/route", "Config/lora"}
    assert plan.pending == () and {each.ref for each in plan.left_out} == {JOB, EVALUATION, EXPORT}


def test_a_target_without_what_is_excluded(tmp_path: Path) -> None:
    plan = chosen(tmp_path, Selection(target=("*Job/*",), exclude=("compare",)))
    assert str(JOB) in refs(plan) and not {str(EVALUATION), str(EXPORT)} & refs(plan)


@pytest.mark.parametrize("excluded", ["train", "tickets", "compare"])
def test_a_target_of_which_nothing_is_left_is_refused(tmp_path: Path, excluded: str) -> None:
    with pytest.raises(SelectionError, match=f"--target 'compare' is left out by --exclude {excluded}"):
        chosen(tmp_path, Selection(target=("compare",), exclude=(excluded,)))


# --replace


def test_a_job_named_by_replace_runs_again_although_its_work_is_there(tmp_path: Path) -> None:
    plan = chosen(tmp_path, Selection(replace=("train",)))
    assert verbs(plan) == {str(JOB): "replace"}
    [action] = plan.pending
    assert action.fresh and action.dispatches and action.reason == "--replace asks for it"


def test_a_changed_job_named_by_replace_tells_both_reasons(tmp_path: Path) -> None:
    plan = chosen(tmp_path, Selection(replace=("train",)), learning_rate=0.5)
    job = next(each for each in plan.pending if each.ref == JOB)
    assert job.reason == "spec.learning_rate 0.002 → 0.5, and --replace asks for it"
    assert not next(each for each in plan.pending if each.ref == EXPORT).fresh


def test_replace_wants_a_new_run_of_what_was_done_elsewhere_too(tmp_path: Path) -> None:
    made = projects.wanted(projects.write(tmp_path, support_desk()))
    elsewhere = Recorded(Lineage("other", 1), {}, projects.recorded(made).artifacts)
    plan = make_plan(made, elsewhere, "default", Project(), Selection(replace=("train",)))
    assert verbs(plan)[str(JOB)] == "create" and verbs(plan)[str(EXPORT)] == "reuse"
    assert next(each for each in plan.actions if each.ref == JOB).dispatches


def test_a_wildcard_of_replace_means_the_jobs_among_what_it_matches(tmp_path: Path) -> None:
    plan = chosen(tmp_path, Selection(replace=("*/*",)))
    assert {each.ref for each in plan.actions if each.fresh} == {JOB, EVALUATION, EXPORT}


@pytest.mark.parametrize(
    ("selection", "words", "hint"),
    [
        (Selection(replace=("Dataset/tickets",)), "Dataset/tickets runs no job", "FineTuningJob"),
        (Selection(replace=("Dataset/*",)), "runs no job", "EvaluationJob"),
        (Selection(replace=("train",), exclude=("train",)), "FineTuningJob/train is left out", "--exclude"),
        (Selection(replace=("compare",), target=("train",)), "EvaluationJob/compare is left out", "--target"),
        (Selection(replace=("no-such",)), "--replace 'no-such' matches nothing", "known"),
    ],
)
def test_what_cannot_run_again_is_said(tmp_path: Path, selection: Selection, words: str, hint: str) -> None:
    with pytest.raises(SelectionError, match=words) as refused:
        chosen(tmp_path, selection)
    assert hint in refused.value.hint


def test_a_job_without_a_manifest_cannot_run_again(tmp_path: Path) -> None:
    past = projects.recorded(projects.wanted(projects.write(tmp_path, support_desk())))
    made = projects.wanted(projects.write(tmp_path, support_desk()[:4]))
    with pytest.raises(SelectionError, match="FineTuningJob/train has no manifest"):
        make_plan(made, past, "default", Project(), Selection(replace=("train",)))


# Patterns


@pytest.mark.parametrize(
    ("pattern", "words", "hint"),
    [
        ("FineTuningJob/trian", "matches nothing", "did you mean 'FineTuningJob/train'?"),
        ("finetuningjob/trian", "matches nothing", "did you mean 'FineTuningJob/train'?"),
        ("FineTuneJob/train", "matches nothing", "did you mean 'FineTuningJob/train'?"),
        ("trian", "matches nothing", "did you mean 'train'?"),
        ("Train", "matches nothing", "did you mean 'train'?"),
        ("Dataset/zz*", "matches nothing", "Dataset/tickets"),
        ("", "is not of the form KIND/NAME", "FineTuningJob/router"),
        ("/", "is not of the form KIND/NAME", "FineTuningJob/router"),
        ("Dataset/", "is not of the form KIND/NAME", "FineTuningJob/router"),
        ("/tickets", "is not of the form KIND/NAME", "FineTuningJob/router"),
    ],
)
@pytest.mark.parametrize("option", ["target", "exclude", "replace"])
def test_a_pattern_that_means_nothing_is_answered_with_the_nearest_name(
    tmp_path: Path, option: str, pattern: str, words: str, hint: str
) -> None:
    with pytest.raises(SelectionError, match=words) as refused:
        chosen(tmp_path, replace(WHOLE, **{option: (pattern,)}))
    assert f"--{option} {pattern!r}" in refused.value.message and hint in refused.value.hint


def test_a_bare_name_of_two_resources_is_ambiguous_and_a_wildcard_is_not(tmp_path: Path) -> None:
    documents = [*support_desk(), projects.manifest("Model", "route", {"type": "project", "location": "models/tiny"})]
    made = projects.wanted(projects.write(tmp_path, documents))
    with pytest.raises(SelectionError, match="ambiguous") as refused:
        make_plan(made, Recorded(Lineage("", 0)), "default", Project(), Selection(target=("route",)))
    assert refused.value.hint == "say which: Model/route, Prompt/route"
    plan = make_plan(made, Recorded(Lineage("", 0)), "default", Project(), Selection(target=("rout*",)))
    assert {"Model/route", "Prompt/route"} <= refs(plan)


def test_in_an_empty_project_nothing_can_be_chosen() -> None:
    with pytest.raises(SelectionError) as refused:
        resolve(Selection(target=("x",)), Known({}, {}))
    assert refused.value.hint == "there is nothing to choose from yet"


# As part of a plan


@pytest.mark.parametrize(
    "selection", [WHOLE, Selection(("a",), ("b", "c"), ("d",), Unmanaged.FORGET), Selection(destroy=True)], ids=str
)
def test_a_selection_survives_its_way_through_json(selection: Selection) -> None:
    assert from_json(selection_json(selection)) == selection


@pytest.mark.parametrize(
    "change",
    [
        {"target": "train"}, {"target": [1]}, {"exclude": None}, {"unmanaged": "burn"}, {"unmanaged": None},
        {"destroy": "no"}, {"extra": 1},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_selection_is_refused(change: dict[str, object]) -> None:
    with pytest.raises((ValueError, TypeError)):
        from_json({**selection_json(WHOLE), **change})


# Any graph at all


@st.composite
def graphs(draw: st.DrawFn) -> dict[Ref, list[Ref]]:
    """Resources that need only earlier ones."""
    nodes = [
        Ref(kind, f"r{n}") for n, kind in enumerate(draw(st.lists(st.sampled_from(["Model", "Config"]), max_size=12)))
    ]
    return {node: sorted(draw(st.sets(st.sampled_from(nodes[:i])))) if i else [] for i, node in enumerate(nodes)}


def everything(edges: Edges) -> tuple[str, ...]:
    return tuple(map(str, edges))


@given(graphs(), st.data())
def test_a_target_is_closed_upstream_and_an_exclusion_downstream(
    edges: dict[Ref, list[Ref]], data: st.DataObject
) -> None:
    some: Iterable[Ref] = data.draw(st.lists(st.sampled_from(sorted(edges)), unique=True)) if edges else []
    without = resolve(Selection(exclude=everything(dict.fromkeys(some, ()))), Known(edges, {})).acting
    assert without == set(edges) - closure(some, turned(edges))
    if some:
        acting = resolve(Selection(target=everything(dict.fromkeys(some, ()))), Known(edges, {})).acting
        assert set(some) <= acting and all(need in acting for ref in acting for need in edges[ref])
        assert acting == closure(some, edges)


@given(graphs())
def test_all_targets_are_the_same_as_none(edges: dict[Ref, list[Ref]]) -> None:
    whole = resolve(WHOLE, Known(edges, {}))
    assert whole.acting == set(edges)
    if edges:
        assert resolve(Selection(target=everything(edges)), Known(edges, {})) == whole
        assert resolve(Selection(target=("*",)), Known(edges, {})) == whole


def test_a_plan_with_every_target_has_the_actions_of_one_without(tmp_path: Path) -> None:
    plan, same = chosen(tmp_path, WHOLE, num_epochs=7), chosen(tmp_path, Selection(target=("*/*",)), num_epochs=7)
    assert to_json(plan)["actions"] == to_json(same)["actions"] and same.left_out == ()
