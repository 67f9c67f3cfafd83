"""Documents to resources: everything that does not fit is reported at once, and the rest is kept."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.core.findings import Source, format_path
from studio.load.manifests import Manifest, parse_manifest
from studio.load.problems import Fault, Problem
from studio.resources import KINDS
from tests.projects import manifest

from .parsers import values

HERE = Source("manifests/a.yaml", 2)


def read(document: Any) -> tuple[Manifest | None, list[Problem]]:
    return parse_manifest(document, HERE)


def problems(document: Any) -> dict[str, tuple[Fault, str, str]]:
    return {format_path(p.path): (p.fault, p.message, p.hint) for p in read(document)[1]}


def resource(document: Any) -> Any:
    found, _ = read(document)
    assert found is not None
    return found.resource


@pytest.mark.parametrize("kind", KINDS)
def test_the_least_that_can_be_said_of_a_kind_is_a_resource(kind: str) -> None:
    found, complaints = read(manifest(kind, "a"))
    assert found is not None and str(found.resource.ref) == f"{kind}/a"
    assert complaints == [] and found.damaged == () and found.source == HERE


@pytest.mark.parametrize(
    ("document", "fault", "path", "message", "hint"),
    [
        ("text", Fault.NOT_A_MANIFEST, "", "the document is not a mapping", "a manifest is a mapping with"),
        (["a"], Fault.NOT_A_MANIFEST, "", "the document is not a mapping", "a manifest is a mapping with"),
        ({}, Fault.NOT_A_MANIFEST, "kind", "the document has no kind", "apiVersion: studio/v1"),
        ({"kind": ["Model"]}, Fault.NOT_A_MANIFEST, "kind", "the document has no kind", "apiVersion: studio/v1"),
        ({"kind": "Datset"}, Fault.UNKNOWN_KIND, "kind", "the kind 'Datset' is unknown", "did you mean 'Dataset'?"),
        ({"kind": "finetuningjob"}, Fault.UNKNOWN_KIND, "kind", "is unknown", "did you mean 'FineTuningJob'?"),
        ({"kind": "Pod"}, Fault.UNKNOWN_KIND, "kind", "the kind 'Pod' is unknown", "known: Adapter, Config"),
        ({"kind": "Project"}, Fault.UNKNOWN_KIND, "kind", "is unknown", "settings belong in studio.yaml"),
        ({"kind": "Model"}, Fault.NOT_A_MANIFEST, "apiVersion", "apiVersion is missing", "write apiVersion"),
        (
            {"kind": "Model", "apiVersion": "studio/v2"},
            Fault.NOT_A_MANIFEST,
            "apiVersion",
            "apiVersion 'studio/v2' is unknown",
            "write apiVersion: studio/v1",
        ),
        ({"kind": "Model", "apiVersion": 1}, Fault.NOT_A_MANIFEST, "apiVersion", "apiVersion 1 is", "write apiVersion"),
    ],
)
def test_what_is_no_manifest_is_said_to_be_none(
    document: Any, fault: Fault, path: str, message: str, hint: str
) -> None:
    found, [problem] = read(document)
    assert found is None
    assert (problem.fault, format_path(problem.path), problem.source) == (fault, path, HERE)
    assert message in problem.message and hint in problem.hint


@pytest.mark.parametrize(
    ("kind", "where", "field", "hint"),
    [
        ("FineTuningJob", "spec", "learning_rat", "did you mean 'learning_rate'?"),
        ("FineTuningJob", "spec", "base_model_id", "did you mean 'base_model'?"),
        ("Dataset", "spec", "huggingface_nam", "did you mean 'huggingface_name'?"),
        ("Dataset", "metadata", "lables", "did you mean 'labels'?"),
        ("Dataset", "metadata", "xyzzy", "known: annotations, description, labels"),
        ("Model", "", "specs", "did you mean 'spec'?"),
    ],
)
def test_an_unknown_field_is_reported_at_its_key_with_the_nearest_name(
    kind: str, where: str, field: str, hint: str
) -> None:
    document = manifest(kind, "a")
    (document[where] if where else document)[field] = 1
    found, [problem] = read(document)
    assert found is not None and problem.fault is Fault.UNKNOWN_FIELD and problem.at_key
    assert format_path(problem.path) == f"{where}.{field}".removeprefix(".")
    assert f"{format_path(problem.path)} is not a field of" in problem.message and hint in problem.hint


def test_an_unknown_field_inside_a_list_is_compared_with_the_fields_of_its_items() -> None:
    spec = {"gates": [{"metric": "latency", "maximum": 1}], "model_adapter_combinations": [{"model": "a"}]}
    found = problems(manifest("EvaluationJob", "a", spec))
    assert found["spec.gates[0].maximum"][2] == "did you mean 'max'?"
    assert found["spec.model_adapter_combinations[0].model"][2] == "did you mean 'base_model'?"


def test_every_wrong_type_is_reported_at_once_and_the_rest_is_kept() -> None:
    spec = {
        "base_model": 5,
        "num_cpu": "two",
        "num_gpu": 1.5,
        "learning_rate": "fast",
        "lora_config": [1],
        "dataset": "tickets",
        "num_epochs": 3,
    }
    document = manifest("FineTuningJob", "a", spec, labels={"a": 1}, protect="yes")
    found = problems(document)
    assert {path: text for path, (_, text, _) in found.items()} == {
        "metadata.labels.a": "metadata.labels.a: must be text; quote it",
        "metadata.protect": "metadata.protect: must be true or false",
        "spec.base_model": "spec.base_model: must be text; quote it",
        "spec.num_cpu": "spec.num_cpu: must be a whole number",
        "spec.num_gpu": "spec.num_gpu: must be a whole number",
        "spec.learning_rate": "spec.learning_rate: must be a number",
        "spec.lora_config": "spec.lora_config: must be a mapping",
    }
    assert {fault for fault, _, _ in found.values()} == {Fault.WRONG_TYPE}
    assert found["spec.num_cpu"][2] == "found 'two'"
    assert resource(document).spec.dataset == "tickets" and resource(document).spec.num_epochs == 3


def test_the_places_of_what_was_left_out_are_kept_so_that_defaults_are_not_judged() -> None:
    found, _ = read(manifest("FineTuningJob", "a", {"num_cpu": "two", "num_gpu": "one"}))
    assert found is not None and set(found.damaged) == {("spec", "num_cpu"), ("spec", "num_gpu")}


@pytest.mark.parametrize("value", ["text", 5, [], [1], "", False, 0])
@pytest.mark.parametrize("part", ["metadata", "spec"])
def test_a_part_that_is_no_mapping_is_reported_and_the_other_part_is_kept(part: str, value: Any) -> None:
    document = {**manifest("Dataset", "a", {"type": "project_csv"}), part: value}
    assert problems(document)[part][1] == f"{part}: must be a mapping"
    assert resource(document).kind == "Dataset"
    assert (resource(document).spec.type == "project_csv") is (part == "metadata")


@pytest.mark.parametrize("part", ["metadata", "spec"])
def test_an_empty_part_is_a_part_without_fields(part: str) -> None:
    assert problems({**manifest("Dataset", "a"), part: None}) == {}


@pytest.mark.parametrize("key", [1, 1.5, True, None])
@pytest.mark.parametrize("where", ["", "metadata", "metadata.labels"])
def test_a_key_that_is_not_text_is_reported_and_the_resource_is_kept(where: str, key: Any) -> None:
    document = manifest("Dataset", "a", {"type": "project"}, labels={"good": "x"})
    place: Any = document
    for step in filter(None, where.split(".")):
        place = place[step]
    place[key] = "x"
    found, [problem] = read(document)
    assert "must be text; quote it" in problem.message
    assert found is not None and found.resource.metadata.labels == {"good": "x"}


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan")])
def test_a_number_that_json_cannot_hold_is_refused(number: float) -> None:
    found = problems(manifest("FineTuningJob", "a", {"learning_rate": number}))
    assert found["spec.learning_rate"][:2] == (Fault.WRONG_TYPE, "spec.learning_rate: must be a finite number")


def test_a_whole_number_is_a_number_and_text_never_is() -> None:
    assert resource(manifest("FineTuningJob", "a", {"num_epochs": 2})).spec.num_epochs == 2.0
    assert "spec.num_epochs" in problems(manifest("FineTuningJob", "a", {"num_epochs": "2"}))
    assert "spec.num_cpu" in problems(manifest("FineTuningJob", "a", {"num_cpu": True}))


def test_a_long_value_is_shown_shortened() -> None:
    hint = problems(manifest("FineTuningJob", "a", {"num_cpu": "x" * 500}))["spec.num_cpu"][2]
    assert hint.endswith("...") and len(hint) < 80


@settings(max_examples=60)
@given(st.sampled_from(sorted(KINDS)), values, values, values)
def test_no_document_of_a_known_kind_is_beyond_reporting(kind: str, metadata: Any, spec: Any, extra: Any) -> None:
    document = {"apiVersion": "studio/v1", "kind": kind, "metadata": metadata, "spec": spec, "extra": extra}
    found, complaints = read(document)
    assert found is not None and complaints
    assert all(problem.message and problem.source == HERE for problem in complaints)


@settings(max_examples=60)
@given(st.sampled_from(sorted(KINDS)), st.data())
def test_any_values_in_known_fields_leave_a_resource(kind: str, data: st.DataObject) -> None:
    fields = sorted(KINDS[kind].model.model_fields["spec"].annotation.model_fields)  # type: ignore[union-attr]
    spec = data.draw(st.dictionaries(st.sampled_from(fields), values, max_size=6))
    found, complaints = read(manifest(kind, "a", spec))
    assert found is not None
    assert {problem.path[1] for problem in complaints} <= set(spec)


@pytest.mark.parametrize(
    ("field", "value", "hint"),
    [
        ("num_epochs", "2", "write 2 without quotes"),
        ("num_cpu", "010", "found '010'; write 10"),
        ("num_cpu", "1_000", "found '1_000'; write 1000"),
        ("num_memory", "4GB", "found '4GB'; write 4"),
        ("train_test_split", "85%", "found '85%'; write 0.85"),
        ("num_epochs", "00.5", "found '00.5'; write 0.5"),
        ("num_cpu", "0o8", "found '0o8'"),
        ("base_model", {"name": None}, 'text that begins with a brace needs quotes: "{name}"'),
        ("base_model", {"name": "x"}, 'found {"name": "x"}'),
    ],
)
def test_a_value_of_another_type_is_answered_with_what_it_was_meant_to_be(field: str, value: Any, hint: str) -> None:
    assert problems(manifest("FineTuningJob", "a", {field: value}))[f"spec.{field}"][2] == hint


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ({"requires": "gate"}, "write [gate]"),
        ({"enable_authentication": "yes"}, "'yes' is text; write true"),
        ({"<<": {"adapter": "a"}}, "YAML 1.2 has no merge keys: write the fields out"),
        ({"token": "hf_" + "a" * 34}, "this looks like a Hugging Face token: revoke it, and remove the field"),
    ],
)
def test_what_yaml_1_1_would_have_meant_is_answered_with_what_to_write(spec: dict[str, Any], hint: str) -> None:
    assert [found[2] for found in problems(manifest("ModelExport", "a", spec)).values()] == [hint]


def test_a_misspelt_field_stands_for_the_one_that_was_meant_unless_that_is_there_too() -> None:
    misspelt, _ = read(manifest("FineTuningJob", "a", {"base_modl": "x"}))
    both, _ = read(manifest("FineTuningJob", "a", {"base_modl": "x", "base_model": "y"}))
    assert misspelt and ("spec", "base_model") in misspelt.damaged
    assert both and ("spec", "base_model") not in both.damaged
