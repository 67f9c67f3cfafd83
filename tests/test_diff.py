"""Desired against recorded: every difference has a path, an effect and a reason."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core.fingerprints import canonical
from studio.plan.diff import compare_inputs, compare_parts
from studio.resources.base import Effect, Metadata, effects, stored
from studio.resources.config import ConfigSpec
from studio.resources.evaluation_job import EvaluationJobSpec
from studio.resources.fine_tuning_job import FineTuningJobSpec

scalars = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.floats(-9, 9), st.text("ab", max_size=2))
data = st.dictionaries(
    st.sampled_from("abc"),
    st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("xy"), inner, max_size=2)
    ),
    max_size=3,
)


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """Changes of a Config's content."""
    found = compare_parts({"config": old}, {"config": new}, ConfigSpec, "spec")
    return [(change.path, change.old, change.new) for change in found]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"r": 8}, {"r": 8}, []),
        ({"r": 8}, {"r": 16}, [("spec.config.r", 8, 16)]),
        ({}, {"r": 8}, [("spec.config.r", None, 8)]),
        ({"r": 8}, {}, [("spec.config.r", 8, None)]),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, [("spec.config.a.c", 2, 3)]),
        ({"l": [1, 2]}, {"l": [1, 3]}, [("spec.config.l", [1, 2], [1, 3])]),
        ({"a": {"b": 1}}, {"a": [1]}, [("spec.config.a", {"b": 1}, [1])]),
        ({"z": 1, "a": 1}, {"z": 2, "a": 2}, [("spec.config.a", 1, 2), ("spec.config.z", 1, 2)]),
        ({"x": 1}, {"x": True}, [("spec.config.x", 1, True)]),
        ({"x": 1}, {"x": 1.0}, [("spec.config.x", 1, 1.0)]),
        ({"x": [0]}, {"x": [False]}, [("spec.config.x", [0], [False])]),
        ({"x": ""}, {"x": False}, [("spec.config.x", "", False)]),
        ({}, {"x": None}, [("spec.config.x", None, "null")]),
        ({"a": {"x": None}}, {"a": {}}, [("spec.config.a.x", "null", None)]),
        ({"x": float("nan")}, {"x": float("nan")}, []),
    ],
)
def test_content_is_compared_down_to_its_leaves(
    old: dict[str, Any], new: dict[str, Any], expected: list[tuple[str, Any, Any]]
) -> None:
    assert differences(old, new) == expected


@given(data, data)
def test_content_of_another_hash_has_a_difference_to_show_and_equal_content_has_none(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    assert (differences(old, new) == []) is (canonical(old) == canonical(new))


@pytest.mark.parametrize(
    ("name", "effect", "reason"),
    [
        ("learning_rate", Effect.OUTCOME, "determines the outcome"),
        ("num_cpu", Effect.PLACEMENT, "applies to the next run"),
        ("adapter_name", Effect.DESCRIPTIVE, "recorded in place"),
        ("a_field_of_long_ago", Effect.DESCRIPTIVE, "recorded in place"),
    ],
)
def test_a_change_says_what_it_means(name: str, effect: Effect, reason: str) -> None:
    [change] = compare_parts({name: 1}, {name: 2}, FineTuningJobSpec, "spec")
    assert (change.path, change.effect, change.reason, change.old, change.new) == (f"spec.{name}", effect, reason, 1, 2)


def test_every_field_of_a_job_is_compared_with_its_own_effect() -> None:
    for name, effect in effects(EvaluationJobSpec).items():
        [change] = compare_parts({}, {name: "x"}, EvaluationJobSpec, "spec")
        assert (change.path, change.effect) == (f"spec.{name}", effect)


def test_metadata_is_compared_label_by_label() -> None:
    old, new = (
        stored(Metadata(name="a", labels=labels)) for labels in ({"team": "a", "tier": "1"}, {"team": "b", "tier": "1"})
    )
    assert [change.path for change in compare_parts(old, new, Metadata, "metadata")] == ["metadata.labels.team"]


def test_what_is_stored_is_plain_json_without_defaults() -> None:
    spec = FineTuningJobSpec(base_model="m", num_workers=1, num_epochs=2.0, lora_config={"r": 8})
    assert stored(spec) == {"base_model": "m", "num_epochs": 2.0, "lora_config": {"r": 8}}
    assert json.loads(json.dumps(stored(spec))) == stored(spec)


@pytest.mark.parametrize(
    ("old", "new", "path", "reason"),
    [
        ({"content": "a" * 64}, {"content": "b" * 64}, "content", "the content changed"),
        ({"Model/m": "a" * 64}, {"Model/m": "b" * 64}, "Model/m", "changed upstream"),
        ({}, {"Config/c": "b" * 64}, "Config/c", "is used now"),
        ({"Config/c": "a" * 64}, {}, "Config/c", "is used no more"),
    ],
)
def test_a_changed_input_is_an_outcome_with_its_reason(
    old: dict[str, str], new: dict[str, str], path: str, reason: str
) -> None:
    [change] = compare_inputs(old, new)
    assert (change.path, change.reason, change.effect) == (path, reason, Effect.OUTCOME)
    assert {len(hash) for hash in (change.old, change.new) if hash} == {12}


@given(st.dictionaries(st.text(max_size=3), st.text("abc", min_size=12)))
def test_equal_inputs_have_no_difference(inputs: dict[str, str]) -> None:
    assert compare_inputs(inputs, dict(reversed(inputs.items()))) == []
