"""What the databases cannot hold is written in a form they can, and read back as it was."""

from __future__ import annotations

import json
import math

import pytest

from studio.state import encoding


@pytest.mark.parametrize("written", [' {"a": [1, "é"]} ', "\n{}\n", '"{}"', "null", "1.5"])
def test_json_that_somebody_edited_by_hand_is_read_all_the_same(written: str) -> None:
    assert encoding.loads(written) == json.loads(written)


@pytest.mark.parametrize("written", ["", "{", "{} {}", "[1],", "nothing"])
def test_what_is_not_json_is_refused_as_the_library_does(written: str) -> None:
    with pytest.raises(json.JSONDecodeError):
        encoding.loads(written)


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_numbers_that_json_lacks_are_written_as_json_and_read_back(number: float) -> None:
    written = encoding.dumps({"loss": [1, (number,)]})
    assert json.loads(written, parse_constant=pytest.fail)
    for text in (written, written.encode()):
        assert math.isclose(found := encoding.loads(text)["loss"][1][0], number) or math.isnan(found)


@pytest.mark.parametrize(
    "value",
    [
        {"$float": "inf"},
        {"$float": 1, "more": math.inf},
        {"$$float": {"$$$float": "$float"}},
        {"$floats": "inf", "a$float": 1},
        {"a": "$float"},
    ],
)
def test_a_mapping_that_only_looks_like_such_a_number_stays_a_mapping(value: object) -> None:
    assert encoding.loads(encoding.dumps(value)) == value


def test_text_columns_get_no_zero_byte_and_no_half_of_a_character() -> None:
    assert encoding.storable("plain") == "plain" and encoding.storable("größer") == "größer"
    assert encoding.storable("a\0b\ud800c") == "a\N{REPLACEMENT CHARACTER}b?c" and encoding.storable(3) == 3


@pytest.mark.parametrize(
    "texts", [[], ["{}"], ['{"a": 1}', " [2, 3] ", "null", '{"$float": "inf"}'], ["1", "2"], ['"a,b"', "[[]]"]]
)
def test_many_texts_are_read_as_each_of_them_is(texts: list[str]) -> None:
    assert encoding.loads_all(texts) == [encoding.loads(text) for text in texts]


@pytest.mark.parametrize("texts", [["1, 2", "3"], ["1], [2", "3"], ["", "1"], ["{}", "{"]])
def test_one_text_among_many_that_is_not_json_is_refused(texts: list[str]) -> None:
    with pytest.raises(json.JSONDecodeError):
        encoding.loads_all(texts)
