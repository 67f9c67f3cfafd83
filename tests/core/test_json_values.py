"""Numbers that JSON lacks."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core.json_values import WORDS, finite, refusal

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner), max_leaves=9)


@given(VALUES)
def test_any_content_can_be_written_as_json_that_every_reader_takes(content: Any) -> None:
    text = json.dumps(finite(content), allow_nan=False)
    assert json.loads(text) == json.loads(text, parse_constant=lambda word: 1 / 0)


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.floats(allow_nan=False, allow_infinity=False)))
def test_content_without_such_numbers_stays_as_it_is(content: dict[str, Any]) -> None:
    assert finite(content) is content


def test_the_outermost_mapping_says_what_stands_where_null_is() -> None:
    made = finite([{"metrics": {"loss": math.nan}, "curve": [1.0, -math.inf]}, {"metrics": {"loss": 0.5}}])
    words = {"metrics.loss": "nan", "curve[1]": "-inf"}
    assert made == [{"metrics": {"loss": None}, "curve": [1.0, None], WORDS: words}, {"metrics": {"loss": 0.5}}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (100_000 * "[", "nested too deeply"),
        (5_000 * "1", "a number has too many digits"),
        ("[1,]", "line 1 column"),
    ],
)
def test_a_refused_text_is_told_in_words_of_the_text(text: str, said: str) -> None:
    with pytest.raises((ValueError, RecursionError)) as error:
        json.loads(text)
    assert said in refusal(error.value)
