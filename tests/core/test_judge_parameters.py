"""Parameters of requests to judges: what is said of each wrong one, and that the rest can be sent."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core.judge_parameters import FORMS, OWN, faults

NUMBERS = st.integers(-9, 9) | st.floats()
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=3),
    lambda held: st.lists(held, max_size=3) | st.dictionaries(st.text(max_size=3) | st.integers(), held, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(sorted({*FORMS, *OWN, "top_k"}))


@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_what_has_no_fault_can_be_sent_and_each_fault_has_its_place(parameters: dict[str, Any]) -> None:
    found = list(faults(parameters))
    assert all(path[0] in parameters and message and hint for path, message, hint in found)
    faulty = {path[0] for path, _, _ in found}
    assert parameters.keys() & OWN <= faulty
    sent = {name: value for name, value in parameters.items() if name not in faulty}
    assert json.loads(json.dumps(sent, allow_nan=False)).keys() == sent.keys()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("temperature", "hot", "temperature is 'hot', and takes a number from 0 to 2"),
        ("temperature", math.nan, "temperature is nan, and takes a number from 0 to 2"),
        ("max_tokens", True, "max_tokens is True, and takes a whole number, at least 1"),
        ("top_k", math.inf, "top_k is inf, which no request can say"),
        ("logit_bias", {"50.256": [1, -math.inf]}, "logit_bias.50.256.1 is -inf, which no request can say"),
        ("extra", {1, 2}, "extra is a set, which no request can say"),
    ],
)
def test_each_wrong_value_is_told_with_what_would_be_right(name: str, value: Any, message: str) -> None:
    assert [words for _, words, _ in faults({name: value})] == [message]
