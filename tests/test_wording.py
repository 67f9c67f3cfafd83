"""Changes in words: of lists what came, what went, and what only moved."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core.references import Ref
from studio.plan.diff import Change
from studio.plan.wording import difference, value
from studio.resources.base import Effect
from tests import projects
from tests.projects import support_desk, with_spec


def words(old: Any, new: Any, width: int = 40) -> str:
    return difference(Change("spec.x", Effect.OUTCOME, "because", old, new), width)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (0.002, 0.001, "0.002 → 0.001"),
        (2.0, 3.0, "2 → 3"),
        (8, 8.0, "8 → 8.0"),
        ({"r": 8}, {"r": 8.0}, "{r: 8} → {r: 8.0}"),
        (2.0, 1e22, "2 → 1e+22"),
        (None, "full", "(unset) → full"),
        ({"r": 8}, "lora", "{r: 8} → lora"),
        (["exact_match"], ["exact_match", "rouge1"], "+ rouge1"),
        (["exact_match", "latency"], ["latency"], "- exact_match"),
        (["a"], ["b"], "+ b, - a"),
        (["a", "b"], ["b", "a"], "the order changed"),
        (["a"], ["a", "a"], "+ a"),
        (None, ["a"], "+ a"),
        (["a"], None, "- a"),
        ([1], [True], "+ true, - 1"),
        ([], list("abcdef"), "+ a, + b, + c, + d and 2 more"),
        ([{"base_model": "tiny"}], [{"base_model": "tiny"}, {"base_model": "tiny", "adapter": "router"}],
         "+ {base_model: tiny, adapter: router}"),
        ("two\nlines", "one", "two\\nlines → one"),
    ],
)  # fmt: skip
def test_a_difference_in_words(old: Any, new: Any, expected: str) -> None:
    assert words(old, new) == expected


@given(st.lists(st.sampled_from("abcd")), st.lists(st.sampled_from("abcd")))
def test_what_came_and_went_makes_the_new_list_of_the_old(old: list[str], new: list[str]) -> None:
    said = words(old, new)
    if said == "the order changed" or (not old and not new):
        assert Counter(old) == Counter(new)
        return
    counted = Counter(old)
    if " more" not in said:
        for part in said.split(", "):
            counted[part[2:]] += 1 if part[0] == "+" else -1
        assert +counted == Counter(new)


@given(st.recursive(st.none() | st.text() | st.integers(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)))
def test_every_value_fits_on_one_short_line(held: Any) -> None:
    assert "\n" not in value(held, 40) and len(value(held, 40)) <= 40


COMBINATIONS = [{"base_model": "tiny"}, {"base_model": "tiny", "adapter": "router"}]


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        ({"metrics": ["exact_match", "latency", "rouge1"]}, "spec.metrics + rouge1"),
        ({"metrics": ["latency", "exact_match"]}, "spec.metrics the order changed"),
        ({"gates": [{"metric": "exact_match", "adapter": "router", "min": 0.7}]}, "spec.gates[0].min 0.5 → 0.7"),
        ({"gates": []}, "spec.gates - {metric: exact_match, adapter: router..."),
        ({"model_adapter_combinations": [COMBINATIONS[1], COMBINATIONS[0]]},
         "spec.model_adapter_combinations the order changed"),
        ({"model_adapter_combinations": [COMBINATIONS[1], COMBINATIONS[1]]},
         "spec.model_adapter_combinations + {base_model: tiny, adapter: router}, - {base_model: tiny}"),
    ],
)  # fmt: skip
def test_a_plan_says_which_elements_changed(tmp_path: Path, edit: dict[str, Any], reason: str) -> None:
    past = projects.recorded(projects.wanted(projects.write(tmp_path, support_desk())))
    plan = projects.plan(projects.write(tmp_path, with_spec(support_desk(), "EvaluationJob", **edit)), past)
    action = next(each for each in plan.actions if each.ref == Ref("EvaluationJob", "compare"))
    assert reason in action.reason


def test_a_field_that_changed_beside_the_same_fingerprint_determines_nothing(tmp_path: Path) -> None:
    inline = projects.pick(support_desk(), "FineTuningJob")["spec"]["training_arguments_config"]
    documents = with_spec(support_desk(), "FineTuningJob", training_arguments_config="arguments")
    config = {"type": "training_arguments", "config": inline}
    past = projects.recorded(projects.wanted(projects.write(tmp_path, support_desk())))
    plan = projects.plan(projects.write(tmp_path, [*documents, projects.manifest("Config", "arguments", config)]), past)
    job = next(each for each in plan.actions if each.ref.kind == "FineTuningJob")
    assert {change.effect for change in job.changes} == {Effect.DESCRIPTIVE}
    assert "means the same as before" in {change.reason for change in job.changes}
