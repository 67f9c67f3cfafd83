"""How many rows a split leaves on each side."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core.splits import sizes


@pytest.mark.parametrize(
    ("rows", "fraction", "train", "expected"),
    [
        (100, 1.0, 0.9, (90, 10)),
        (100, 0.5, 0.9, (45, 5)),
        (1, 1.0, 0.9, (0, 1)),
        (0, 1.0, 0.9, (0, 0)),
        (3, 0.1, 0.5, (0, 0)),
        (10, 1.0, 1.0, (10, 0)),
    ],
)
def test_sampling_and_splitting_round_down(rows: int, fraction: float, train: float, expected: tuple[int, int]) -> None:
    found = sizes(rows, fraction, train)
    assert (found.train, found.held_out) == expected


@given(
    st.integers(0, 10_000),
    st.floats(0, 1, exclude_min=True),
    st.floats(0, 1, exclude_min=True),
)
def test_no_row_is_made_up_or_counted_twice(rows: int, fraction: float, train: float) -> None:
    found = sizes(rows, fraction, train)
    assert found.train >= 0 and found.held_out >= 0 and found.train + found.held_out <= rows
    if fraction == 1:
        assert found.train + found.held_out == rows
