"""Comparing records with what is there: what is as recorded never drifts, each difference does exactly once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core.references import Ref
from studio.plan.drift import Expected, Past, Sort, Subject, by_resource, compare, expectations, went_elsewhere
from studio.plan.drift_facts import FACTS, IGNORED, Remedy
from studio.report.drifts import shown
from studio.state.base import Record, RecordStatus, Run, RunStatus

DATA, HUB_DATA, LOGGED = Ref("Dataset", "tickets"), Ref("Dataset", "hub"), Ref("Model", "registered")
TRAIN, COMPARE, RELEASE = Ref("FineTuningJob", "train"), Ref("EvaluationJob", "compare"), Ref("ModelExport", "release")
SERVE, WORKSPACE = Ref("ModelExport", "serve"), "cml:ml.example.com/abcd-1234"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def record(ref: Ref, spec: dict[str, Any], **values: Any) -> Record:
    outcome = values.pop("outcome", {})
    facts, inputs = values.pop("facts", {}), values.pop("inputs", {})
    return Record(ref, "uid", spec, {}, "f" * 64, inputs, RecordStatus.READY, facts=facts, outcome=outcome, **values)


def outcome(key: str, output: dict[str, Any]) -> dict[str, Any]:
    return {"run_key": key, "run_dir": f".studio/runs/{key}", "mlflow_run_id": f"run-of-{key}", "output": output}


TRAINED = {"adapter": ".studio/runs/train/adapter", "digest": "d" * 64, "curve": ".studio/runs/train/curves.png"}
EVALUATED = {
    "chart": "chart.png",
    "combinations": [
        {"model": "tiny", "predictions": "one.csv", "mlflow_run_id": "nested-1"},
        {"model": "tiny", "adapter": "router", "predictions": "two.csv", "mlflow_run_id": "nested-2"},
    ],
}
EXPORTED = {"model_name": "router", "model_version": "3", "uri": "models:/router/3", "source": "models:/m-1"} | {
    "registered": {"model_id": "abcd", "version": "1", "run_id": "feed", "place": "cml:ml.example/p"}
}
SERVED = {
    "task": "deployment", "model_name": "router", "model_id": "m-1", "build_id": "b-1", "deployment_id": "d-1",
    "url": "https://modelservice.ml.example.com/model", "page": "", "access_key": "", "authentication": True,
    "description": "", "size": {"cpu": 2, "memory": 8, "gpu": 1, "replicas": 1}, "place": WORKSPACE,
}  # fmt: skip
RECORDS = [
    record(DATA, {"type": "project_csv", "location": "data/tickets.csv"}, inputs={"content": "c" * 64}),
    record(HUB_DATA, {"type": "huggingface", "huggingface_name": "o/n", "revision": "main"}, facts={"commit": COMMIT}),
    record(LOGGED, {"type": "model_registry", "cml_registered_model_id": "abcd"}, facts={"mlflow_run_id": "feed"}),
    record(TRAIN, {"adapter_name": "router", "out_dir": "copies"}, outcome=outcome("train", TRAINED)),
    record(COMPARE, {}, outcome=outcome("compare", EVALUATED)),
    record(RELEASE, {"model_description": "words"}, outcome=outcome("release", EXPORTED)),
    record(SERVE, {"type": "cml_model"}, outcome=outcome("serve", SERVED)),
]
RUN = Run("train-key", 2, "default", TRAIN, "f" * 64, "local", RunStatus.SUBMITTED)
KEYS = frozenset({"train", "compare", "release"})
PAST = Past({each.ref: each for each in RECORDS}, (RUN,), KEYS, "", True)
MANAGED = frozenset(PAST.records)
PLACE = "cml:ml.example/p"
TRAINED_THERE = replace(PAST.records[TRAIN], outcome=outcome("train", {**TRAINED, "place": PLACE}))
AFAR = replace(PAST, records={**PAST.records, TRAIN: TRAINED_THERE}, away=PLACE)
"""Jobs run in a workspace whose disk is not this one."""
EXPECTED = expectations(PAST)
AS_RECORDED = {each.subject: each.recorded for each in EXPECTED}


def drifted(**found: Any) -> list[tuple[str, str, Remedy]]:
    """Drift when the subjects of these facts are found to be otherwise."""
    subjects = {each.subject: found[each.fact] for each in EXPECTED if each.fact in found}
    return [(str(each.ref), each.path, each.remedy) for each in compare(EXPECTED, subjects, MANAGED)]


def test_every_fact_is_expected_of_something_so_that_none_is_dead_data() -> None:
    unknown = {ref: replace(PAST.records[ref], facts={}) for ref in (HUB_DATA, LOGGED)}
    facts = {each.fact for each in [*EXPECTED, *expectations(replace(PAST, records=unknown)), *expectations(AFAR)]}
    assert facts == set(FACTS)
    assert all(fact.remedy is Remedy.NOTHING for fact in FACTS.values() if fact.ignored)
    assert set(IGNORED) < set(FACTS)


@given(st.sets(st.sampled_from(sorted(AS_RECORDED))))
def test_what_is_as_recorded_never_drifts_however_much_of_it_is_seen(seen: set[Subject]) -> None:
    assert compare(EXPECTED, {subject: AS_RECORDED[subject] for subject in seen}, MANAGED) == ()


@given(
    st.dictionaries(
        st.sampled_from(sorted(AS_RECORDED)), st.none() | st.text() | st.dictionaries(st.text(), st.text())
    ),
    st.sets(st.sampled_from(sorted(MANAGED))),
)
def test_each_difference_is_told_once_with_what_was_recorded_and_found(
    changed: dict[Subject, Any], managed: set[Ref]
) -> None:
    found = {**AS_RECORDED, **changed}
    drifts = compare(EXPECTED, found, managed)
    differing = [each for each in EXPECTED if found[each.subject] != each.recorded]
    assert sorted((each.ref, each.path) for each in drifts) == sorted(
        (each.ref, each.path or each.fact) for each in differing
    )
    assert list(drifts) == sorted(drifts, key=lambda each: (each.ref, each.path))
    for each in drifts:
        assert each.reason and "{" not in each.reason and each.recorded != each.found
        assert each.ref in managed or each.remedy is Remedy.NOTHING
        assert isinstance(shown(each.found), str)
    acting = by_resource(drifts)
    assert set(acting) <= managed
    assert all(not each.ignored and not each.planned for group in acting.values() for each in group)


@pytest.mark.parametrize(
    ("found", "path", "remedy"),
    [
        ({"content": "e" * 64}, "content", Remedy.UPDATE),
        ({"content": None}, "content", Remedy.NOTHING),
        ({"commit": "f" * 40}, "commit", Remedy.UPDATE),
        ({"commit": None}, "commit", Remedy.NOTHING),
        ({"adapter": "e" * 64}, "adapter", Remedy.REPLACE),
        ({"adapter": None}, "adapter", Remedy.REPLACE),
        ({"copy": None}, "copy", Remedy.UPDATE),
        ({"version": None}, "version", Remedy.REPLACE),
        ({"version.source": "models:/m-2"}, "version.source", Remedy.REPLACE),
        ({"version.files": None}, "version.files", Remedy.REPLACE),
        ({"version.files": "moved"}, "version.files", Remedy.UPDATE),
        ({"version.description": ""}, "version.description", Remedy.UPDATE),
        ({"version.tags": {}}, "version.tags", Remedy.UPDATE),
        ({"run": "succeeded"}, "run", Remedy.UPDATE),
        ({"run": None}, "run", Remedy.REPLACE),
    ],
)
def test_what_apply_does_about_a_difference(found: dict[str, Any], path: str, remedy: Remedy) -> None:
    [(_, told, decided)] = drifted(**found)
    assert (told, decided) == (path, remedy)


def facts_of(past: Past) -> set[str]:
    return {each.fact for each in expectations(past)}


def test_the_hub_is_expected_to_say_something_only_when_it_is_asked() -> None:
    assert "commit" not in facts_of(replace(PAST, online=False))


def test_a_pinned_revision_is_its_own_record() -> None:
    pinned = record(HUB_DATA, {"type": "huggingface", "huggingface_name": "o/n", "revision": COMMIT})
    [expected] = expectations(Past({HUB_DATA: pinned}, online=True))
    assert (expected.fact, expected.recorded) == ("commit", COMMIT)


def test_what_was_reused_from_elsewhere_may_be_logged_elsewhere() -> None:
    assert "mlflow_run" not in facts_of(replace(PAST, made_here=frozenset()))


def test_an_export_to_another_registry_is_not_looked_for_in_this_one() -> None:
    moved = replace(PAST, registry="another")
    assert "version" not in facts_of(moved) and went_elsewhere(moved) == [RELEASE]
    unknown = replace(PAST, registry=None)
    assert "version" in facts_of(unknown) and went_elsewhere(unknown) == []


def test_a_resource_whose_last_run_failed_has_nothing_that_could_be_gone() -> None:
    failed = {ref: replace(each, status=RecordStatus.FAILED) for ref, each in PAST.records.items()}
    assert facts_of(replace(PAST, records=failed)) == {"run"}


@given(st.recursive(st.none() | st.text() | st.integers(), lambda inner: st.dictionaries(st.text(), inner)))
def test_no_recorded_output_breaks_it(output: Any) -> None:
    """State may have been written by another version."""
    for ref in (TRAIN, RELEASE):
        past = Past({ref: record(ref, {}, outcome={"output": output})}, made_here=frozenset({"x"}))
        assert all(isinstance(each, Expected) for each in expectations(past))


def test_every_sort_of_subject_is_looked_at_by_somebody() -> None:
    from studio.workflow.refreshing import _LOOKING, ALIKE

    assert {ALIKE.get(sort, sort) for sort in Sort} == set(_LOOKING)


def test_of_what_a_workspace_made_only_its_own_adapters_are_looked_for_and_nothing_on_this_disk() -> None:
    local = {Sort.FOLDER, Sort.COPY, Sort.FILE}
    afar = expectations(AFAR)
    assert not local & {each.subject.sort for each in afar}
    [stored] = [each for each in afar if each.subject.sort is Sort.STORED]
    (gone,) = compare([stored], {stored.subject: None}, MANAGED)
    assert gone.remedy is Remedy.REPLACE and gone.path == "adapter"
    assert gone.reason == "the files of the adapter .studio/runs/train/adapter are gone from the workspace"
    assert compare([stored], {stored.subject: "there"}, MANAGED) == () == compare([stored], {}, MANAGED)
    elsewhere = expectations(replace(AFAR, away="cml:ml.example/q"))
    assert not {Sort.STORED, *local} & {each.subject.sort for each in elsewhere}
