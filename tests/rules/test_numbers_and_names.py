"""Rules on numbers and names, with their limits exact."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core.confidence import CONFIDENCES
from studio.core.errors import JobError
from studio.core.findings import Source
from studio.core.jobspec import Split
from studio.core.references import Ref
from studio.core.splits import sampled, sizes
from studio.core.suggest import did_you_mean
from studio.graph import build
from studio.jobs.inputs.partition import partition, sample
from studio.load.manifests import Manifest, parse_manifest
from studio.load.settings import Project
from studio.resources.base import Resource
from studio.rules.base import Breach, View, catalogue

RULES = {rule.id: rule for rule in catalogue()}
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(
    [0.0, -0.0, 1.0, math.nextafter(1, 2), 5e-324]
)
INTEGERS = st.integers(-(1 << 40), 1 << 40) | st.integers(-2, 2)
SHARES = [("FT-010", "FineTuningJob", "dataset_fraction"), ("FT-011", "FineTuningJob", "train_test_split")]
AT_LEAST = [
    ("FT-004", "FineTuningJob", "num_cpu", 1),
    ("FT-005", "FineTuningJob", "num_gpu", 0),
    ("FT-006", "FineTuningJob", "num_memory", 1),
    ("FT-007", "FineTuningJob", "num_workers", 1),
    ("FT-023", "FineTuningJob", "dist_cpu", 1),
    ("FT-023", "FineTuningJob", "dist_gpu", 0),
    ("FT-023", "FineTuningJob", "dist_mem", 1),
    ("FT-023", "FineTuningJob", "gpu_label_id", 0),
    ("EV-004", "EvaluationJob", "num_cpu", 1),
    ("EV-004", "EvaluationJob", "num_gpu", 0),
    ("EV-004", "EvaluationJob", "num_memory", 1),
    ("EV-023", "EvaluationJob", "gpu_label_id", 0),
    ("EX-012", "ModelExport", "num_cpu", 1),
    ("EX-012", "ModelExport", "num_gpu", 0),
    ("EX-012", "ModelExport", "num_memory", 1),
    ("EX-012", "ModelExport", "replicas", 1),
]


def alone(kind: str, spec: dict[str, Any], name: str = "it") -> tuple[Resource, View]:
    """A resource in a project of its own."""
    document = {"apiVersion": "studio/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
    manifest, problems = parse_manifest(document, Source("it.yaml"))
    assert manifest and not problems
    held: dict[Ref, Manifest] = {manifest.resource.ref: manifest}
    graph = build({ref: m.resource for ref, m in held.items()}, {})
    return manifest.resource, View(Path("/nowhere"), Project(), held, {}, graph, {}, [])


def breaches(id: str, kind: str, field: str, value: object) -> list[Breach]:
    """What a rule says about one field."""
    resource, view = alone(kind, {field: value})
    return [breach for breach in RULES[id].check(resource, view) if breach.path == f"spec.{field}"]


@pytest.mark.parametrize(("id", "kind", "field", "least"), AT_LEAST)
@given(value=INTEGERS)
def test_a_count_below_its_least_value_is_found_and_no_other(
    id: str, kind: str, field: str, least: int, value: int
) -> None:
    assert bool(breaches(id, kind, field, value)) == (value < least)


@pytest.mark.parametrize(("id", "kind", "field"), [*SHARES, ("EV-017", "EvaluationJob", "eval_dataset_fraction")])
@given(value=NUMBERS)
def test_a_share_is_above_0_and_at_most_1(id: str, kind: str, field: str, value: float) -> None:
    assert bool(breaches(id, kind, field, value)) == (not 0 < value <= 1)


@given(value=NUMBERS)
def test_a_rate_is_positive_and_at_most_a_hundred(value: float) -> None:
    assert bool(breaches("FT-009", "FineTuningJob", "learning_rate", value)) == (not 0 < value <= 100)


@given(value=NUMBERS | st.sampled_from([1e6, math.nextafter(1e6, 2e6)]))
def test_epochs_are_above_0_and_at_most_a_million(value: float) -> None:
    assert bool(breaches("FT-008", "FineTuningJob", "num_epochs", value)) == (not 0 < value <= 1e6)


@pytest.mark.parametrize(("id", "field"), [("FT-008", "num_epochs"), ("FT-009", "learning_rate")])
def test_what_the_arguments_decide_may_be_left_out(id: str, field: str) -> None:
    resource, view = alone("FineTuningJob", {})
    assert list(RULES[id].check(resource, view)) == []


@given(name=st.text(max_size=20) | st.from_regex(r"[a-zA-Z0-9-]+\Z") | st.from_regex(r"[a-zA-Z0-9-]+\n\Z"))
def test_an_adapter_name_has_letters_digits_and_hyphens_only(name: str) -> None:
    found = breaches("FT-002", "FineTuningJob", "adapter_name", name)
    assert bool(found) == (re.fullmatch("[a-zA-Z0-9-]+", name) is None)
    for breach in found:
        assert re.fullmatch("write [a-zA-Z0-9-]+", breach.hint)


NAMES = st.text(max_size=30) | st.text("aZ09.-", max_size=5) | st.integers(250, 256).map(lambda size: "a" * size)


@given(name=NAMES)
def test_a_name_is_a_slug_and_the_suggested_one_is(name: str) -> None:
    def is_slug(text: str) -> bool:
        plain = re.fullmatch("[a-z0-9.-]{1,253}", text) is not None
        return plain and text[0] not in ".-" and text[-1] not in ".-"

    _, view = alone("Config", {}, name)
    found = [breach for id in ("MF-011", "MF-012") for breach in RULES[id].check(view)]
    assert bool(found) == (not is_slug(name))
    for breach in found if 0 < len(name) <= 253 else ():
        assert is_slug(breach.hint.removeprefix("write "))


def test_a_name_that_is_too_long_is_told_the_limit() -> None:
    _, view = alone("Config", {}, 300 * "a")
    found = [breach.message for breach in RULES["MF-011"].check(view)]
    assert len(found) == 1
    assert found[0].endswith("has 300 characters; at most 253 are allowed")


@given(name=st.text(max_size=10) | st.text("ab/:. ", max_size=5))
def test_a_registered_name_is_what_mlflow_takes(name: str) -> None:
    refused = not name.strip() or "/" in name or ":" in name or name in (".", "..")
    found = [breach for id in ("EX-003", "EX-009") for breach in breaches(id, "ModelExport", "model_name", name)]
    assert len(found) == refused


@given(rows=st.integers(0, 300), fraction=st.floats(0.001, 1), train=st.floats(0.001, 1))
def test_the_rules_count_rows_as_the_jobs_do(rows: int, fraction: float, train: float) -> None:
    assert sampled(rows, fraction) == len(sample(rows, fraction, 42))
    counted = sizes(rows, fraction, train)
    fits = counted.train > 0 and (counted.held_out > 0 or train == 1)
    try:
        parts = partition(rows, Split(fraction=fraction, train=train))
    except JobError:
        assert not fits
    else:
        assert fits
        assert (len(parts.train), len(parts.held_out)) == (counted.train, counted.held_out)
        assert len(np.union1d(parts.train, parts.held_out)) == sampled(rows, fraction)


@given(word=st.text(max_size=8), known=st.lists(st.text(min_size=1, max_size=8), max_size=12))
def test_a_hint_is_never_empty(word: str, known: list[str]) -> None:
    assert did_you_mean(word, known)


@pytest.mark.parametrize(
    ("combinations", "than", "found"), [(13, "a2", True), (12, "a2", False), (13, "baseline", False)]
)
def test_a_confident_comparison_of_many_is_with_the_baseline(combinations: int, than: str, found: bool) -> None:
    listed = [{"base_model": "m"}, *({"base_model": "m", "adapter": f"a{i}"} for i in range(1, combinations))]
    gate = {"metric": "exact_match", "adapter": "a1", "not_worse_than": than, "confidence": 0.95}
    resource, view = alone("EvaluationJob", {"model_adapter_combinations": listed, "gates": [gate]})
    assert bool(list(RULES["EV-032"].check(resource, view))) is found


@given(NUMBERS)
def test_only_the_recorded_levels_are_a_confidence(asked: float) -> None:
    resource, view = alone("EvaluationJob", {"gates": [{"metric": "exact_match", "min": 0.1, "confidence": asked}]})
    assert bool(list(RULES["EV-031"].check(resource, view))) is (asked not in CONFIDENCES)


@pytest.mark.parametrize(("than", "words"), [("b", "2 combinations are called 'b'"), ("a", "with itself"), ("", None)])
def test_who_a_gate_compares_with_is_one_other_combination(than: str, words: str | None) -> None:
    listed = [{"base_model": "m"}, *({"base_model": on, "adapter": name} for on, name in ("ma", "mb", "nb"))]
    gate = {"metric": "exact_match", "adapter": "a", "not_worse_than": than}
    resource, view = alone("EvaluationJob", {"model_adapter_combinations": listed, "gates": [gate]})
    said = [breach.message for breach in RULES["EV-029"].check(resource, view)]
    assert len(said) == bool(words) and all(words in each for each in said if words)
