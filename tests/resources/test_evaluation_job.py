"""Gates: decided from recorded metrics, one verdict for each condition."""

from __future__ import annotations

import pytest

from studio.core.jobresult import CombinationOutput, Difference, EvaluationOutput, Interval
from studio.core.verdicts import Verdict
from studio.resources.evaluation_job import Gate
from studio.resources.gates import judge

BASE = CombinationOutput(model="tiny", metrics={"exact_match": 0.2, "latency": 0.5})
TUNED = CombinationOutput(model="tiny", adapter="router", metrics={"exact_match": 0.8, "latency": 0.75})
OTHER = CombinationOutput(model="large", adapter="router", metrics={"exact_match": 0.9, "latency": 2.0})
ALL = EvaluationOutput(combinations=(BASE, TUNED, OTHER), rows=100)


@pytest.mark.parametrize(
    ("gate", "passed", "words"),
    [
        ({"min": 0.6, "adapter": "router"}, True, "exact_match of router: 0.8, at least 0.6"),
        ({"min": 0.8, "adapter": "router"}, True, "exact_match of router: 0.8, at least 0.8"),
        ({"min": 0.81, "adapter": "router"}, False, "exact_match of router: 0.8, not at least 0.81"),
        ({"min": 0.3}, False, "exact_match of tiny: 0.2, not at least 0.3"),
        ({"metric": "latency", "max": 1.0, "adapter": "router"}, True, "latency of router: 0.75, at most 1"),
        ({"metric": "latency", "max": 0.75, "adapter": "router"}, True, "latency of router: 0.75, at most 0.75"),
        ({"metric": "latency", "max": 0.7, "adapter": "router"}, False, "latency of router: 0.75, not at most 0.7"),
        (
            {"min_gain_over_baseline": 0.5, "adapter": "router"},
            True,
            "exact_match of router: +0.6 over the baseline, at least 0.5",
        ),
        (
            {"min_gain_over_baseline": 0.7, "adapter": "router"},
            False,
            "exact_match of router: +0.6 over the baseline, not at least 0.7",
        ),
        ({"min": 0.85, "adapter": "router", "base_model": "large"}, True, "exact_match of router: 0.9, at least 0.85"),
        ({"metric": "rouge1", "min": 0.1}, False, "rouge1 of tiny: not computed, not at least 0.1"),
        ({"metric": "rouge1", "max": 0.1}, False, "rouge1 of tiny: not computed, not at most 0.1"),
        ({"min": 0.1, "adapter": "nobody"}, False, "exact_match of nobody: not computed, not at least 0.1"),
        (
            {"metric": "rouge1", "min_gain_over_baseline": 0.0},
            False,
            "rouge1 of tiny: not computed, not at least 0",
        ),
    ],
)
def test_a_condition_is_decided_and_says_by_which_number(gate: dict[str, object], passed: bool, words: str) -> None:
    [verdict] = judge([Gate.model_validate({"metric": "exact_match", **gate})], ALL)
    assert verdict.passed is passed and str(verdict) == words


def test_every_condition_of_every_gate_has_a_verdict_in_order() -> None:
    first = Gate(metric="exact_match", adapter="router", min=0.1, max=0.9, min_gain_over_baseline=0.1)
    verdicts = judge([first, Gate(metric="latency", max=1.0)], ALL)
    assert [(verdict.condition, verdict.threshold) for verdict in verdicts] == [
        ("min", 0.1),
        ("max", 0.9),
        ("min_gain_over_baseline", 0.1),
        ("max", 1.0),
    ]


def test_a_threshold_of_zero_is_a_condition_and_its_absence_is_none() -> None:
    assert [v.passed for v in judge([Gate(metric="exact_match", min=0.0)], ALL)] == [True]
    assert judge([Gate(metric="exact_match")], ALL) == [] and judge([], ALL) == []


def test_without_any_combination_nothing_passes() -> None:
    [verdict] = judge([Gate(metric="exact_match", min=0.0)], EvaluationOutput(combinations=(), rows=0))
    assert verdict == Verdict("exact_match", "", "min", 0.0, None, False)


def test_a_threshold_is_not_missed_by_the_last_bit_of_a_float_and_a_miss_is_not_rounded_away() -> None:
    def verdict(value: float) -> Verdict:
        made = (CombinationOutput(model="m", metrics={"exact_match": each}) for each in (0.4, value))
        gate = Gate(metric="exact_match", base_model="n", min_gain_over_baseline=0.3)
        base, tuned = made
        [found] = judge([gate], EvaluationOutput(combinations=(base, tuned.model_copy(update={"model": "n"})), rows=9))
        return found

    assert 0.7 - 0.4 < 0.3 and verdict(0.7).passed
    assert str(verdict(0.69999)) == "exact_match of n: +0.29999 over the baseline, not at least 0.3"
    assert str(verdict(0.699999)) == "exact_match of n: +0.299999 over the baseline, not at least 0.3"


def test_large_numbers_of_a_verdict_are_written_out() -> None:
    [verdict] = judge([Gate(metric="perplexity", max=100)], EvaluationOutput(combinations=(
        CombinationOutput(model="m", metrics={"perplexity": 11270.6}),), rows=9))  # fmt: skip
    assert str(verdict) == "perplexity of m: 11,271, not at most 100"


def ends(low: float, high: float) -> tuple[Interval, ...]:
    """Wider at 99 % by 0.1 on each side."""
    return (
        Interval(confidence=0.95, low=low, high=high),
        Interval(confidence=0.99, low=low - 0.1, high=high + 0.1),
    )


def gained(combination: int, than: int, gain: float, *around: float) -> Difference:
    return Difference(
        metric="exact_match", combination=combination, than=than, gain=gain, intervals=ends(*around), p_value=0.01,
        test="McNemar",
    )  # fmt: skip


SURE = EvaluationOutput(
    combinations=(
        BASE,
        TUNED.model_copy(update={"intervals": {"exact_match": ends(0.7, 0.85)}}),
        OTHER.model_copy(update={"adapter": "other"}),
    ),
    rows=100,
    differences=(gained(1, 0, 0.6, 0.5, 0.7), gained(2, 0, 0.7, 0.6, 0.8), gained(2, 1, 0.1, -0.02, 0.2)),
)


@pytest.mark.parametrize(
    ("gate", "passed", "words"),
    [
        ({"min": 0.7, "confidence": 0.95}, True, "0.8 [0.7, 0.85], at least 0.7 with 95% confidence"),
        ({"min": 0.7, "confidence": 0.99}, False, "0.8 [0.6, 0.95], not at least 0.7 with 99% confidence"),
        ({"min": 0.1, "confidence": 0.9}, False, "0.8 without an interval, not at least 0.1 with 90% confidence"),
        ({"max": 0.84, "confidence": 0.95}, False, "0.8 [0.7, 0.85], not at most 0.84 with 95% confidence"),
        ({"max": 0.85, "confidence": 0.95}, True, "0.8 [0.7, 0.85], at most 0.85 with 95% confidence"),
        (
            {"min_gain_over_baseline": 0.5, "confidence": 0.95},
            True,
            "+0.6 [0.5, 0.7] over the baseline, at least 0.5 with 95% confidence",
        ),
        (
            {"min_gain_over_baseline": 0.5, "confidence": 0.99},
            False,
            "+0.6 [0.4, 0.8] over the baseline, not at least 0.5 with 99% confidence",
        ),
        ({"not_worse_than": "baseline"}, True, "+0.6 against baseline, at least 0"),
        ({"not_worse_than": "tiny"}, True, "+0.6 against tiny, at least 0"),
        ({"not_worse_than": "other"}, False, "-0.1 against other, not at least 0"),
        ({"not_worse_than": "other", "tolerance": 0.15}, True, "-0.1 against other, at least -0.15"),
        (
            {"not_worse_than": "other", "tolerance": 0.15, "confidence": 0.95},
            False,
            "-0.1 [-0.2, 0.02] against other, not at least -0.15 with 95% confidence",
        ),
        (
            {"not_worse_than": "other", "tolerance": 0.2, "confidence": 0.95},
            True,
            "-0.1 [-0.2, 0.02] against other, at least -0.2 with 95% confidence",
        ),
        ({"metric": "latency", "not_worse_than": "baseline"}, False, "-0.25 against baseline, not at least 0"),
        ({"not_worse_than": "nobody"}, False, "not computed, not at least 0"),
    ],
)
def test_with_a_confidence_the_end_of_the_interval_is_judged(gate: dict[str, object], passed: bool, words: str) -> None:
    given = Gate.model_validate({"metric": "exact_match", "adapter": "router", **gate})
    [verdict] = judge([given], SURE)
    assert verdict.passed is passed and str(verdict) == f"{given.metric} of router: {words}"
