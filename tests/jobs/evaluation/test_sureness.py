"""Intervals that hold the truth as often as they say, however few rows there are and however alike they score."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from studio.core.confidence import CONFIDENCES
from studio.core.jobresult import CombinationOutput, EvaluationOutput, Interval
from studio.jobs.evaluation import bootstrap, gains, sureness
from studio.jobs.evaluation.gains import Side
from studio.jobs.evaluation.metrics import Array
from studio.resources import gates
from studio.resources.evaluation_job import Gate

ROWS = st.integers(1, 60)
SHARES = st.floats(0.001, 0.999)


def scored(*values: float) -> Array:
    return np.column_stack([np.array(values, dtype=float), np.ones(len(values))])


def found(name: str, *values: float) -> tuple[Interval, ...]:
    lines = scored(*values)
    return sureness.of(name, lines, bootstrap.replicates({name: lines})[name])


def gained(name: str, mine: Array, other: Array) -> tuple[Interval, ...]:
    found = gains.of_gain(name, *(Side(each, bootstrap.replicates({name: each})[name]) for each in (mine, other)))
    assert found
    return found.intervals


def ends(intervals: tuple[Interval, ...]) -> list[float]:
    return [end for each in intervals for end in (each.low, each.high)]


def shares(rows: int) -> list[tuple[Interval, ...]]:
    """The intervals of every number of right answers."""
    drawn = np.zeros(bootstrap.REPLICATES)
    return [sureness.of("exact_match", scored(*[1] * hits, *[0] * (rows - hits)), drawn) for hits in range(rows + 1)]


@settings(max_examples=100, deadline=None)
@given(ROWS, SHARES)
def test_the_interval_of_a_share_holds_the_truth_at_least_as_often_as_it_says(rows: int, truth: float) -> None:
    """Summed over all numbers of right answers, so exactly: nothing is drawn."""
    chances = binom.pmf(np.arange(rows + 1), rows, truth)
    every = shares(rows)
    for level, confidence in enumerate(CONFIDENCES):
        holding = [each[level].low <= truth <= each[level].high for each in every]
        assert chances[holding].sum() >= confidence - 1e-9


@settings(max_examples=50, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_the_interval_of_a_share_is_that_of_the_exact_test_and_never_without_width(rows: list[bool]) -> None:
    intervals = found("exact_match", *map(float, rows))
    for each in intervals:
        known = binomtest(sum(rows), len(rows)).proportion_ci(each.confidence, method="exact")
        assert (each.low, each.high) == pytest.approx((known.low, known.high))
        assert 0 <= each.low < each.high <= 1 and each.low <= sum(rows) / len(rows) <= each.high
    assert all(a.low >= b.low and a.high <= b.high for a, b in pairwise(intervals))


def test_five_right_answers_of_five_do_not_pass_a_gate_that_asks_to_be_sure() -> None:
    right = {"exact_match": found("exact_match", *[1] * 5)}
    measured = CombinationOutput(model="m", metrics={"exact_match": 1}, intervals=right)
    output = EvaluationOutput(rows=5, combinations=(measured,))
    sure, [even] = (
        gates.judge([Gate(metric="exact_match", min=0.6, confidence=level)], output) for level in (0.95, None)
    )
    assert even.passed and not sure[0].passed and sure[0].low == pytest.approx(0.025 ** (1 / 5))


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 1), ROWS)
def test_scores_that_are_all_the_same_leave_room_for_others(score: float, rows: int) -> None:
    intervals = found("rougeL", *[score] * rows)
    assert all(0 <= each.low <= score <= each.high <= 1 and each.low < each.high for each in intervals)
    if score in (0, 1):
        share = found("exact_match", *[score] * rows)
        assert ends(intervals) == pytest.approx(ends(share))


def test_scores_that_differ_have_the_interval_of_the_bootstrap() -> None:
    lines = scored(*np.linspace(0, 1, 50))
    drawn = bootstrap.replicates({"rougeL": lines})["rougeL"]
    assert sureness.of("rougeL", lines, drawn) == bootstrap.intervals(drawn, 50)
    alike = scored(*[3.0] * 50)
    drawn = bootstrap.replicates({"token_count": alike})["token_count"]
    assert sureness.of("token_count", alike, drawn) == bootstrap.intervals(drawn, 50)  # a length has no upper limit


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20))
def test_the_interval_of_a_gain_in_shares_holds_what_was_found_and_has_width(won: int, lost: int, even: int) -> None:
    assume(won + lost + even)
    mine, other = scored(*[1] * won, *[0] * lost, *[1] * even), scored(*[0] * won, *[1] * lost, *[1] * even)
    intervals = gained("exact_match", mine, other)
    gain = (won - lost) / (won + lost + even)
    assert all(-1 <= each.low <= gain <= each.high <= 1 and each.low < each.high for each in intervals)
    turned = gained("exact_match", other, mine)
    assert ends(intervals) == pytest.approx([-end for each in turned for end in (each.high, each.low)])


@pytest.mark.parametrize(("won", "lost"), [(0.1, 0.1), (0.3, 0.05), (0.02, 0.01), (0.5, 0.2)])
def test_the_interval_of_a_gain_in_shares_holds_the_truth_about_as_often_as_it_says(won: float, lost: float) -> None:
    """Over all outcomes of 30 rows, each with its chance."""
    rows, held = 30, np.zeros(len(CONFIDENCES))
    for better, worse in product(range(rows + 1), repeat=2):
        if better + worse > rows:
            continue
        chance = binom.pmf(better, rows, won) * binom.pmf(worse, rows - better, lost / (1 - won))
        if chance > 1e-9:
            ends = [gains.paired_shares(better, worse, rows, level) for level in CONFIDENCES]
            held += chance * np.array([each.low <= won - lost <= each.high for each in ends])
    assert (held >= np.array(CONFIDENCES) - 0.025).all()


def test_equal_answers_to_few_rows_do_not_prove_that_nothing_is_worse() -> None:
    same = scored(*[1] * 5)
    for name in ("exact_match", "rougeL"):
        [shown] = [each for each in gained(name, same, same) if each.confidence == 0.95]
        assert shown.low < -0.3 and shown.high > 0.3
