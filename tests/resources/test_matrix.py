"""Names of trials: valid, distinct, and made of nothing but their own values."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core.fingerprints import canonical
from studio.resources.base import SLUG
from studio.resources.matrix import LONGEST, MOST, count, points, spelled
from studio.rules.fine_tuning import ADAPTER_NAME

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=60)
VALUES = SCALARS | st.dictionaries(st.text(max_size=8), SCALARS, max_size=3)
KEYS = st.sampled_from(
    ("learning_rate", "num_epochs", "lora_config", "lora_config.r", "user_config.r", "user_config.A b")
)
MATRICES = st.dictionaries(KEYS, st.lists(VALUES, min_size=1, max_size=3), min_size=1, max_size=3)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (1.0e-4, "1e-4"), (0.00015, "15e-5"), (2.5, "25e-1"), (8, "8"), (8.0, "8"), (1000, "1000"),
        (-0.5, "minus-5e-1"),
        (0, "0"), (0.0, "0"), (None, "none"), (True, "true"), ("lora-small", "lora-small"),
        ("adamw_torch", "adamw-torch"),
        ({"r": 8}, "r-8"), (1e300, "1e300"),
    ],
)  # fmt: skip
def test_a_value_is_spelled_as_people_read_it(value: Any, name: str) -> None:
    assert spelled(value) == name


def test_what_cannot_be_read_back_gets_a_hash() -> None:
    assert spelled("none") != spelled(None) and spelled("A") != spelled("a") and spelled("8") != spelled(8)


@given(MATRICES)
def test_names_are_valid_for_jobs_and_adapters_and_no_two_are_alike(matrix: dict[str, list[Any]]) -> None:
    found = list(points(matrix))
    assert len({point.slug for point in found}) == len(found) <= min(count(matrix), MOST)
    for point in found:
        assert SLUG.match(f"train-{point.slug}") and ADAPTER_NAME.match(f"router-{point.slug}")
        assert len(point.slug) <= LONGEST


@given(MATRICES, st.data())
def test_a_name_depends_on_its_own_values_alone(matrix: dict[str, list[Any]], data: st.DataObject) -> None:
    before = {canonical(point.values): point.slug for point in points(matrix)}
    key = data.draw(st.sampled_from(sorted(matrix)))
    turned = {name: values[::-1] for name, values in reversed(matrix.items())}
    more = {**turned, key: [data.draw(VALUES), *turned[key]]}
    after = {canonical(point.values): point.slug for point in points(more)}
    assert all(after[values] == slug for values, slug in before.items() if values in after)


def test_a_matrix_with_too_many_combinations_has_no_trial() -> None:
    assert list(points({"num_epochs": list(range(MOST + 1))})) == []
