"""A curve in one line of text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from studio.report.sparkline import BARS, sparkline


def test_a_falling_loss_falls() -> None:
    assert sparkline([8, 7, 6, 5, 4, 3, 2, 1]) == BARS[::-1]


def test_nothing_draws_nothing_and_a_constant_is_flat() -> None:
    assert sparkline([]) == ""
    assert sparkline([2.0, 2.0, 2.0]) == BARS[0] * 3


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=200), st.integers(1, 40))
def test_a_curve_never_outgrows_its_width(values: list[float], width: int) -> None:
    line = sparkline(values, width)
    assert len(line) == min(width, len(values)) and set(line) <= set(BARS)
