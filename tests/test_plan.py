"""The plan: one action for each resource, each with its reasons, and the same bytes for the same input."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.core.references import Ref
from studio.load.settings import Project
from studio.plan.actions import Action, Kept, Plan, to_json
from studio.plan.decide import Recorded, make_plan
from studio.resources import KINDS
from studio.resources.base import Effect, effects
from studio.state.base import Lineage, RecordStatus
from tests import projects
from tests.projects import Document, changed, manifest, support_desk, verbs, with_spec

SCHEMA = json.loads((projects.ROOT / "schemas" / "plan.schema.json").read_text("utf-8"))
JOB = Ref("FineTuningJob", "train")
EVALUATION = Ref("EvaluationJob", "compare")
EXPORT = Ref("ModelExport", "release")


def replanned(root: Path, documents: list[Document], **past: Any) -> Plan:
    """The plan for ``documents`` after ``support_desk`` was applied."""
    before = projects.recorded(projects.wanted(projects.write(root, support_desk())), **past)
    return projects.plan(projects.write(root, documents), before)


def action(plan: Plan, ref: Ref) -> Action:
    return next(each for each in plan.actions if each.ref == ref)


# Verbs


def test_what_is_not_recorded_is_created(tmp_path: Path) -> None:
    plan = projects.plan(projects.write(tmp_path, support_desk()))
    assert set(verbs(plan).values()) == {"create"} and len(plan.actions) == 7
    assert {each.reason for each in plan.actions} == {"not recorded yet"}
    assert [each.ref for each in plan.actions if each.dispatches] == [JOB, EVALUATION, EXPORT]


def test_after_apply_there_is_nothing_to_do(tmp_path: Path) -> None:
    plan = replanned(tmp_path, support_desk())
    assert plan.pending == () and {each.reason for each in plan.actions} == {""}


def test_a_changed_learning_rate_replaces_the_job_and_everything_downstream(tmp_path: Path) -> None:
    plan = replanned(tmp_path, with_spec(support_desk(), "FineTuningJob", learning_rate=0.001))
    assert verbs(plan) == {str(JOB): "replace", str(EVALUATION): "replace", str(EXPORT): "replace"}
    assert action(plan, JOB).reason == "spec.learning_rate 0.002 → 0.001"
    assert action(plan, EVALUATION).reason == "FineTuningJob/train changed"
    assert action(plan, EXPORT).reason == "FineTuningJob/train changed"


def test_a_changed_data_file_replaces_the_jobs_and_updates_the_data_set(tmp_path: Path) -> None:
    before = projects.recorded(projects.wanted(projects.write(tmp_path, support_desk())))
    with (tmp_path / "data" / "tickets.csv").open("a") as stream:
        stream.write("one more,card\n")
    plan = projects.plan(tmp_path, before)
    assert verbs(plan)["Dataset/tickets"] == "update" and verbs(plan)[str(JOB)] == "replace"
    assert action(plan, Ref("Dataset", "tickets")).reason == "content changed"
    assert action(plan, JOB).reason == "Dataset/tickets changed"


def test_a_changed_config_replaces_the_jobs_that_use_it(tmp_path: Path) -> None:
    plan = replanned(tmp_path, with_spec(support_desk(), "Config", config={**projects.LORA, "r": 4}))
    assert verbs(plan)["Config/lora"] == "update" and action(plan, JOB).reason == "Config/lora changed"
    assert action(plan, Ref("Config", "lora")).reason == "spec.config.r 8 → 4"


@pytest.mark.parametrize(
    ("edit", "path", "effect"),
    [
        (lambda d: d["metadata"].update(description="words"), "metadata.description", Effect.DESCRIPTIVE),
        (lambda d: d["metadata"]["labels"].update(team="other"), "metadata.labels.team", Effect.DESCRIPTIVE),
        (lambda d: d["spec"].update(num_cpu=8), "spec.num_cpu", Effect.PLACEMENT),
        (lambda d: d["spec"].update(gpu_label_id=1), "spec.gpu_label_id", Effect.PLACEMENT),
    ],
)
def test_a_descriptive_or_placement_change_updates_the_record_and_runs_nothing(
    tmp_path: Path, edit: Callable[[Document], object], path: str, effect: Effect
) -> None:
    plan = replanned(tmp_path, changed(support_desk(), "FineTuningJob", edit))
    assert verbs(plan) == {str(JOB): "update"} and not action(plan, JOB).dispatches
    [change] = action(plan, JOB).changes
    assert (change.path, change.effect) == (path, effect)


def test_moving_an_inline_config_into_a_config_updates_the_record_and_runs_nothing(tmp_path: Path) -> None:
    inline = projects.pick(support_desk(), "FineTuningJob")["spec"]["training_arguments_config"]
    documents = with_spec(support_desk(), "FineTuningJob", training_arguments_config="arguments")
    documents.append(manifest("Config", "arguments", {"type": "training_arguments", "config": inline}))
    assert verbs(replanned(tmp_path, documents)) == {"Config/arguments": "create", str(JOB): "update"}


def test_work_that_was_done_elsewhere_is_reused(tmp_path: Path) -> None:
    done = projects.recorded(projects.wanted(projects.write(tmp_path, support_desk())))
    elsewhere = Recorded(Lineage("other", 1), {}, done.artifacts)
    plan = projects.plan(tmp_path, elsewhere)
    found = verbs(plan)
    assert {found[str(ref)] for ref in (JOB, EVALUATION, EXPORT)} == {"reuse"} and found["Dataset/tickets"] == "create"
    assert action(plan, JOB).reason == "the same work was done before" and not action(plan, JOB).dispatches


def test_going_back_to_an_earlier_value_reuses_what_it_produced(tmp_path: Path) -> None:
    old = projects.recorded(projects.wanted(projects.write(tmp_path, support_desk())))
    new = projects.recorded(
        projects.wanted(projects.write(tmp_path, with_spec(support_desk(), "FineTuningJob", learning_rate=0.5)))
    )
    both = {kind: old.artifacts[kind] | new.artifacts[kind] for kind in old.artifacts}
    past = Recorded(new.lineage, new.records, both)
    plan = projects.plan(projects.write(tmp_path, support_desk()), past)
    assert set(verbs(plan).values()) == {"reuse"}


def failed(past: Recorded, *refs: Ref) -> dict[Ref, Any]:
    return {
        ref: replace(record, status=RecordStatus.FAILED) if ref in refs else record
        for ref, record in past.records.items()
    }


def test_a_failed_run_is_tried_again(tmp_path: Path) -> None:
    past = projects.recorded(projects.wanted(projects.write(tmp_path, support_desk())))
    without = {**past.artifacts, "FineTuningJob": frozenset[str]()}
    plan = projects.plan(tmp_path, Recorded(past.lineage, failed(past, JOB), without))
    assert verbs(plan) == {str(JOB): "retry"} and action(plan, JOB).reason == "the last run failed"
    assert action(plan, JOB).dispatches


def test_a_failed_run_whose_work_was_done_elsewhere_is_not_tried_again(tmp_path: Path) -> None:
    past = projects.recorded(projects.wanted(projects.write(tmp_path, support_desk())))
    plan = projects.plan(tmp_path, Recorded(past.lineage, failed(past, JOB), past.artifacts))
    assert verbs(plan) == {str(JOB): "reuse"}


def test_a_changed_job_that_had_failed_is_replaced_not_retried(tmp_path: Path) -> None:
    past = projects.recorded(projects.wanted(projects.write(tmp_path, support_desk())))
    projects.write(tmp_path, with_spec(support_desk(), "FineTuningJob", learning_rate=0.5))
    plan = projects.plan(tmp_path, Recorded(past.lineage, failed(past, JOB), past.artifacts))
    assert verbs(plan)[str(JOB)] == "replace"


def test_a_job_whose_artifact_is_gone_is_replaced(tmp_path: Path) -> None:
    past = projects.recorded(projects.wanted(projects.write(tmp_path, support_desk())))
    artifacts = {**past.artifacts, "FineTuningJob": frozenset[str]()}
    plan = projects.plan(tmp_path, Recorded(past.lineage, past.records, artifacts, {JOB: "its adapter is far away"}))
    assert verbs(plan) == {str(JOB): "replace"} and action(plan, JOB).reason == "its adapter is far away"


def test_what_is_recorded_without_a_manifest_is_kept_and_named(tmp_path: Path) -> None:
    remaining = [document for document in support_desk() if document["kind"] not in ("ModelExport", "EvaluationJob")]
    plan = replanned(tmp_path, remaining)
    assert plan.kept == (Kept(EVALUATION, "no manifest"), Kept(EXPORT, "no manifest")) and plan.pending == ()


def test_the_shipped_defaults_are_no_actions_of_a_plan(tmp_path: Path) -> None:
    plan = projects.plan(
        projects.write(tmp_path, with_spec(support_desk(), "FineTuningJob", lora_config="default-lora"))
    )
    assert "Config/default-lora" not in {str(each.ref) for each in plan.actions}
    assert all("default-lora" not in str(need) for each in plan.actions for need in each.needs)


# Reasons


def test_no_action_but_none_is_without_a_reason(tmp_path: Path) -> None:
    documents = changed(support_desk(), "FineTuningJob", lambda d: d["spec"].update(num_epochs=9, loss="full"))
    for plan in (replanned(tmp_path, documents), replanned(tmp_path, support_desk()), projects.plan(tmp_path)):
        assert all(bool(each.reason) == (each.verb.value != "none") for each in plan.actions)


def test_only_what_forces_the_action_is_the_reason_and_a_long_list_is_counted(tmp_path: Path) -> None:
    values = {"num_epochs": 9, "loss": "full", "learning_rate": 0.5, "train_test_split": 0.5, "num_cpu": 7}
    made = action(replanned(tmp_path, with_spec(support_desk(), "FineTuningJob", **values)), JOB)
    assert len(made.changes) == 5
    assert made.reason == ("spec.learning_rate 0.002 → 0.5, spec.loss (unset) → full, spec.num_epochs 2 → 9 and 1 more")


def test_a_value_of_another_type_is_a_change_with_a_reason(tmp_path: Path) -> None:
    plan = replanned(tmp_path, with_spec(support_desk(), "Config", config={**projects.LORA, "r": 8.0}))
    assert action(plan, Ref("Config", "lora")).reason == "spec.config.r 8 → 8.0"
    assert verbs(plan)[str(JOB)] == "replace"


def test_a_long_or_broken_value_is_shown_on_one_short_line(tmp_path: Path) -> None:
    plan = replanned(tmp_path, with_spec(support_desk(), "Prompt", completion_template=" {queue}" + "\nmore" * 100))
    assert "\n" not in action(plan, Ref("Prompt", "route")).reason
    assert len(action(plan, Ref("Prompt", "route")).reason) < 300


# The value


def test_actions_come_in_the_order_of_what_they_need(tmp_path: Path) -> None:
    plan = projects.plan(projects.write(tmp_path, support_desk()))
    order = [each.ref for each in plan.actions]
    for each in plan.actions:
        assert all(order.index(need) < order.index(each.ref) for need in each.needs)


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    def text() -> str:
        return json.dumps(to_json(replanned(tmp_path, with_spec(support_desk(), "Config", config={"r": 1}))))

    assert text() == text()


@settings(max_examples=15)
@given(st.permutations(support_desk()))
def test_the_order_of_manifests_and_records_does_not_matter(tmp_path: Path, documents: list[Document]) -> None:
    root = projects.write(tmp_path, support_desk())
    made = projects.wanted(root)
    past = projects.recorded(made)
    shuffled = Recorded(past.lineage, dict(reversed(past.records.items())), past.artifacts)
    expected = to_json(make_plan(made, past, "default", Project()))
    assert to_json(projects.plan(projects.write(root, documents), shuffled)) == expected


def test_the_manifest_digest_follows_every_word_of_the_manifests(tmp_path: Path) -> None:
    digests = {
        replanned(tmp_path, documents).manifest_digest
        for documents in (
            support_desk(),
            changed(support_desk(), "Model", lambda d: d["metadata"].update(title="T")),
            with_spec(support_desk(), "FineTuningJob", num_cpu=3),
            with_spec(support_desk(), "FineTuningJob", learning_rate=0.5),
        )
    }
    assert len(digests) == 4


@pytest.mark.parametrize(
    "spec",
    [
        {"backend": {"type": "cml", "project_id": "a"}},
        {"mlflow": {"tracking_uri": "https://elsewhere.example"}},
        {"allow_remote_code": ["desk/model"]},
        {"hf_token": {"env": "OTHER"}},
    ],
    ids=lambda spec: next(iter(spec)),
)
def test_the_manifest_digest_follows_where_and_as_what_jobs_run(tmp_path: Path, spec: Document) -> None:
    made = projects.wanted(projects.write(tmp_path, support_desk()))
    base, other = Project(), Project.model_validate({"spec": spec})
    elsewhere = Project.model_validate({"spec": {"environments": {"prod": {}}, "manifests": ["m", "n"]}})
    before, after, same = (
        make_plan(made, Recorded(Lineage("", 0)), "default", each).manifest_digest for each in (base, other, elsewhere)
    )
    assert before == same != after


def test_a_plan_carries_the_lineage_and_serial_it_was_made_against(tmp_path: Path) -> None:
    plan = replanned(tmp_path, support_desk())
    assert (plan.lineage, plan.serial, plan.environment, plan.version) == ("lineage", 7, "default", 2)


def test_the_counts_are_those_of_the_actions(tmp_path: Path) -> None:
    plan = replanned(tmp_path, with_spec(support_desk(), "FineTuningJob", learning_rate=0.5))
    counted = to_json(plan)["counts"]
    assert counted == {
        "create": 0, "update": 0, "replace": 3, "reuse": 0, "retry": 0, "delete": 0, "forget": 0, "none": 4,
        "move": 0,
    }  # fmt: skip


# The JSON form


def test_the_schema_is_itself_valid_and_documents_every_field() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for part in (SCHEMA, SCHEMA["$defs"]["change"], SCHEMA["$defs"]["resources"]):
        assert all("description" in each or "$ref" in each for each in part["properties"].values())


@pytest.mark.parametrize(
    "edit",
    [
        {},
        {"learning_rate": 0.5},
        {"num_cpu": 8, "gpu_label_id": 2, "dist_cpu": 1},
        {"lora_config": {"r": 1, "nested": {"a": [1, None]}}},
        {"lora_config": "default-lora"},
    ],
    ids=str,
)
def test_the_json_form_of_any_plan_matches_the_schema(tmp_path: Path, edit: dict[str, Any]) -> None:
    documents = with_spec(support_desk(), "FineTuningJob", **edit)
    for plan in (replanned(tmp_path, documents), projects.plan(tmp_path), replanned(tmp_path, documents[:4])):
        content = json.loads(json.dumps(to_json(plan), allow_nan=False))
        jsonschema.validate(content, SCHEMA, jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda c: c.update(version=1),
        lambda c: c.update(extra=1),
        lambda c: c.pop("serial"),
        lambda c: c["actions"][0].update(action="destroy"),
        lambda c: c["actions"][0].update(reason=""),
        lambda c: c["actions"][0].update(fingerprint="abc"),
        lambda c: c["counts"].pop("none"),
    ],
)
def test_the_schema_refuses_what_is_no_plan(tmp_path: Path, spoil: Callable[[Any], object]) -> None:
    content = to_json(projects.plan(projects.write(tmp_path, support_desk())))
    spoil(content)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content, SCHEMA, jsonschema.Draft202012Validator)


# Any change at all


@settings(max_examples=60)
@given(
    st.dictionaries(
        st.sampled_from(["num_cpu", "num_memory", "out_dir", "learning_rate", "num_epochs", "loss", "gpu_label_id"]),
        st.integers(1, 4),
        max_size=4,
    )
)
def test_a_job_runs_again_only_for_an_outcome_and_every_difference_is_told(
    tmp_path: Path, values: dict[str, int]
) -> None:
    spec: dict[str, Any] = {**values}
    for name in {"out_dir", "loss"} & spec.keys():
        spec[name] = {"out_dir": "elsewhere", "loss": "full"}[name]
    before = projects.pick(support_desk(), "FineTuningJob")["spec"]
    plan = replanned(tmp_path, with_spec(support_desk(), "FineTuningJob", **spec))
    different = {name for name in spec if spec[name] != before.get(name)}
    assert {change.path for change in action(plan, JOB).changes} == {f"spec.{name}" for name in different}
    declared = KINDS["FineTuningJob"].model.model_fields["spec"].annotation
    assert declared is not None
    outcome = any(effects(declared)[name] is Effect.OUTCOME for name in different)
    expected = "replace" if outcome else "update" if different else None
    assert verbs(plan).get(str(JOB)) == expected
    assert verbs(plan).get(str(EXPORT)) == ("replace" if outcome else None)
