"""What training arguments make of long rows."""

from __future__ import annotations

from array import array
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.load import lengths
from studio.load.lengths import Lengths, Limit


@pytest.mark.parametrize(
    ("arguments", "limit"),
    [
        ({}, Limit(1024)),
        ({"max_length": 64}, Limit(64)),
        ({"max_length": None}, Limit(None)),
        ({"max_length": 0}, Limit(None)),
        ({"max_length": True}, Limit(None)),
        ({"max_length": "64"}, Limit(None)),
        ({"max_length": 64, "packing": True}, Limit(64)),
        ({"max_length": 64, "packing": True, "packing_strategy": "wrapped"}, Limit(None)),
        ({"max_length": 64, "packing_strategy": "wrapped"}, Limit(64)),
        ({"max_length": 64, "truncation_mode": "keep_end"}, Limit(64, from_end=True)),
    ],
)
def test_the_limit_is_the_one_that_trl_applies(arguments: dict[str, Any], limit: Limit) -> None:
    assert lengths.limit(arguments) == limit


@pytest.mark.parametrize(
    ("arguments", "end"),
    [({}, "</s>"), ({"eos_token": "</s>"}, "</s>"), ({"eos_token": "<end>"}, "</s><end>"), ({"eos_token": 5}, "</s>")],
)
def test_trl_adds_a_token_of_its_own_where_one_is_named(arguments: dict[str, Any], end: str) -> None:
    assert lengths.end(arguments, "</s>") == end


def measured(*rows: tuple[int, int]) -> Lengths:
    tokens, begins = zip(*rows, strict=True)
    return Lengths(range(len(rows)), array("l", tokens), array("l", begins), len(rows))


@pytest.mark.parametrize(
    ("limit", "over", "lost"),
    [
        (Limit(10), 0, 0),
        (Limit(9), 1, 0),
        (Limit(8), 2, 1),
        (Limit(7), 2, 2),
        (Limit(7, from_end=True), 2, 0),
        (Limit(None), 0, 0),
    ],
)
def test_a_row_is_lost_when_its_completion_begins_at_the_limit(limit: Limit, over: int, lost: int) -> None:
    found = measured((10, 8), (9, 7), (5, 5))
    assert (found.over(limit), found.lost(limit)) == (over, lost)


@given(st.lists(st.integers(0, 1000), min_size=1), st.integers(1, 100))
def test_a_percentile_is_a_length_that_so_many_rows_do_not_exceed(values: list[int], share: int) -> None:
    found = lengths.percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) * 100 >= share * len(values)
    assert sum(value < found for value in values) * 100 < share * len(values)


def test_the_scope_says_when_not_every_row_was_measured() -> None:
    assert measured((1, 0)).scope() == "1 row"
    assert Lengths(range(2), array("l", (1, 2)), array("l", (0, 0)), 2_000).scope() == "2 measured of 2,000 rows"


@pytest.mark.parametrize(
    ("tokens", "total", "lost"),
    [([9, 9], 2, True), ([9, 3], 2, False), ([9, 9], 3, False), ([9], 10, False)],
    ids=["all", "some", "all that were measured", "one that was measured"],
)
def test_that_nothing_is_left_is_said_only_when_every_row_was_measured(
    tokens: list[int], total: int, lost: bool
) -> None:
    found = Lengths(range(len(tokens)), tokens, [5] * len(tokens), total)
    assert found.all_lost(Limit(4)) is lost and found.lost(Limit(4)) == tokens.count(9)
