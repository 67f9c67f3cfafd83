"""Gains, their intervals and p-values: of the same rows, and what scipy and closed forms say."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.core.jobresult import Interval
from studio.jobs.evaluation import bootstrap, gains, metrics
from studio.jobs.evaluation.gains import Gain, Side
from studio.jobs.evaluation.metrics import Array

SCALE = {"helpful": (1.0, 5.0), "rougeL": (0.0, 1.0)}
SCORES = st.integers(1, 5)


def lines(*scores: float | None) -> Array:
    """None is a row without a score."""
    return np.array([(0, 0) if each is None else (each, 1) for each in scores], dtype=float)


def found(name: str, mine: Array, other: Array) -> Gain:
    made = gains.of_gain(name, *(Side(each, bootstrap.replicates({name: each})[name]) for each in (mine, other)), SCALE)
    assert made
    return made


def at(intervals: tuple[Interval, ...], confidence: float = 0.95) -> tuple[float, float]:
    [shown] = [each for each in intervals if each.confidence == confidence]
    return shown.low, shown.high


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.none() | SCORES, st.none() | SCORES), min_size=1, max_size=25))
def test_rows_that_one_side_has_no_score_of_count_nowhere(rows: list[tuple[int | None, int | None]]) -> None:
    mine, other = (lines(*(row[side] for row in rows)) for side in (0, 1))
    both = [(a, b) for a, b in rows if a is not None and b is not None]
    drawn = [bootstrap.replicates({"helpful": each})["helpful"] for each in (mine, other)]
    made = gains.of_gain("helpful", Side(mine, drawn[0]), Side(other, drawn[1]), SCALE)
    if not both:
        assert made is None
        return
    assert made and made.value == pytest.approx(float(np.mean([a - b for a, b in both])))
    low, high = at(made.intervals) if made.intervals else (-4.0, 4.0)
    assert low - 1e-9 <= made.value <= high + 1e-9
    if len({a - b for a, b in both}) == 1:
        assert made == found("helpful", *(lines(*(row[side] for row in both)) for side in (0, 1)))


def test_unlike_rows_on_either_side_do_not_look_like_a_gain() -> None:
    """Each side could not be judged on its worst, or its best, rows: on those that both have, nothing differs."""
    mine = lines(*[5] * 10, *[1] * 10, *[None] * 10)
    other = lines(*[5] * 10, *[None] * 10, *[1] * 10)
    made = found("helpful", mine, other)
    assert metrics.values({"helpful": mine}) == metrics.values({"helpful": other})
    assert (made.value, made.p_value, made.test) == (0, 1, "exact")
    worse = found("helpful", lines(*[4] * 10, *[5] * 20), lines(*[4] * 10, *[None] * 20))
    assert (worse.value, worse.p_value) == (0, 1), "its own mean is 4.67, but of other rows"


def test_mcnemar_is_the_sum_of_the_binomial_tail() -> None:
    for won, lost in ((9, 1), (5, 0), (0, 5), (3, 3), (1, 0), (40, 17)):
        tail = sum(math.comb(won + lost, k) for k in range(max(won, lost), won + lost + 1)) / 2 ** (won + lost)
        assert gains.mcnemar(won, lost) == pytest.approx(min(1.0, 2 * tail))
    assert gains.mcnemar(0, 0) == 1.0


def test_rows_that_both_answer_alike_change_no_p_value() -> None:
    won, even = found("exact_match", lines(1, 1, 1, 0), lines(0, 0, 0, 1)), lines(*[1] * 30)
    more = found("exact_match", np.vstack([lines(1, 1, 1, 0), even]), np.vstack([lines(0, 0, 0, 1), even]))
    assert won.p_value == more.p_value == pytest.approx(2 * 5 / 16) and won.test == "McNemar"


def test_an_interval_of_paired_shares_is_that_of_the_published_formula() -> None:
    """Bonett and Price: (f12 - f21) / (n + 2) around, with one row added to each of f12 and f21; by hand for 14, 5 of
    50."""
    low, high = at((gains.paired_shares(14, 5, 50, 0.95),))
    middle, spread = (15 - 6) / 52, math.sqrt((15 / 52 + 6 / 52 - (9 / 52) ** 2) / 52)
    z = float(scipy.stats.norm.ppf(0.975))
    assert (low, high) == pytest.approx((middle - z * spread, middle + z * spread))
    assert (low, high) == pytest.approx((0.0069, 0.3393), abs=1e-4)


@pytest.mark.parametrize("rows", [12, 80])
def test_the_bootstrap_agrees_with_that_of_scipy(rows: int) -> None:
    random = np.random.default_rng(rows)
    mine, other = random.beta(2, 2, rows), random.beta(2, 3, rows)
    made = found("rougeL", lines(*mine), lines(*other))
    known = scipy.stats.bootstrap(
        (mine - other,), np.mean, n_resamples=9999, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    spread = known.high - known.low
    assert at(made.intervals) == pytest.approx((known.low, known.high), abs=0.08 * spread)
    one = bootstrap.intervals(bootstrap.replicates({"rougeL": lines(*mine)})["rougeL"], rows, (0.95,))
    alone = scipy.stats.bootstrap((mine,), np.mean, n_resamples=9999, method="percentile", rng=np.random.default_rng(2))
    assert at(one) == pytest.approx(tuple(alone.confidence_interval), abs=0.05)


def test_a_p_value_of_the_bootstrap_is_about_that_of_the_t_test() -> None:
    random = np.random.default_rng(5)
    base = random.random(150) * 0.5 + 0.2
    for shift in (0.0, 0.01, 0.02):
        mine = np.clip(base + shift + random.normal(0, 0.1, 150), 0, 1)
        made, known = found("rougeL", lines(*mine), lines(*base)), scipy.stats.ttest_rel(mine, base).pvalue
        assert made.p_value == pytest.approx(known, abs=0.05) and made.test == "paired bootstrap"


@pytest.mark.parametrize(("name", "much"), [("exact_match", 1.0), ("rougeL", 1.0), ("helpful", 4.0)])
def test_a_single_row_proves_nothing(name: str, much: float) -> None:
    made = found(name, lines(1 + much if name == "helpful" else 1), lines(1 if name == "helpful" else 0))
    low, high = at(made.intervals)
    assert made.value == much and made.p_value == 1 and low < 0 < high


def test_a_single_length_has_no_interval_and_no_small_p_value() -> None:
    made = found("token_count", lines(3), lines(9))
    assert (made.value, made.intervals, made.p_value) == (6, (), 1.0)
    two = found("token_count", lines(3, 5), lines(9, 12))
    assert two.p_value == 0.5, "the sign test of two rows"


@settings(max_examples=60, deadline=None)
@given(st.floats(0.01, 1), st.integers(1, 40))
def test_where_all_rows_gain_alike_p_and_interval_say_the_same(value: float, rows: int) -> None:
    made = found("rougeL", lines(*[value] * rows), lines(*[0] * rows))
    for each in made.intervals:
        if abs(1 - each.confidence - made.p_value) > 1e-6:
            assert (each.low > 0) == (made.p_value < 1 - each.confidence)
    assert made.p_value >= float(scipy.stats.binomtest(rows, rows).pvalue) - 1e-12
    if value == 1:
        assert made.p_value == pytest.approx(float(scipy.stats.binomtest(rows, rows).pvalue))


@pytest.mark.parametrize("right", [0, 1])
def test_all_right_or_all_wrong_on_both_sides_is_no_gain_and_not_sure(right: int) -> None:
    for name in ("exact_match", "rougeL"):
        made = found(name, lines(*[right] * 8), lines(*[right] * 8))
        low, high = at(made.intervals)
        assert made.value == 0 and made.p_value == 1 and low < -0.2 and high > 0.2


def test_gains_of_perplexity_and_of_classes_are_of_the_whole() -> None:
    nats = np.array([[2.0, 2], [0, 0], [6, 3]])  # an empty expected answer has no tokens, and counts nowhere
    made = found("perplexity", nats, nats * [2, 1])
    assert made.value == pytest.approx(math.exp(16 / 5) - math.exp(8 / 5)) and at(made.intervals)[0] > 0
    classes = np.array([[1, 0, 1, 0, 1, 0], [0, 1, 0, 1, 0, 1]] * 5, dtype=float)
    wrong = np.array([[0, 0, 1, 0, 0, 1], [0, 0, 0, 1, 1, 0]] * 5, dtype=float)
    assert found("macro_f1", classes, wrong).value == 1
