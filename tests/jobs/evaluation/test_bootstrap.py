"""Intervals and paired tests, against what is known of them."""

from __future__ import annotations

import csv
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.core.confidence import ALL_COMPARED, CONFIDENCES, pairs
from studio.core.jobresult import CombinationOutput, EvaluationOutput
from studio.core.jobspec import JobSpec
from studio.jobs.evaluation import bootstrap, comparison_table, differences, metrics

from ..workbench import MakeSpec, evaluation


def matched(*rows: bool) -> metrics.Scores:
    return {"exact_match": np.column_stack([np.array(rows, dtype=float), np.ones(len(rows))])}


def combination(spec_folder: Path, name: str, scores: metrics.Scores) -> CombinationOutput:
    differences.keep(spec_folder / f"{name}.npz", scores)
    drawn = bootstrap.replicates(scores)
    return CombinationOutput(
        model=name, metrics=metrics.values(scores), scores=str(spec_folder / f"{name}.npz"),
        intervals={metric: bootstrap.intervals(each, 9) for metric, each in drawn.items()},
    )  # fmt: skip


def compared(spec: JobSpec, made: list[CombinationOutput]) -> EvaluationOutput:
    return EvaluationOutput(combinations=tuple(made), rows=40, differences=differences.between(spec, made))


def test_the_interval_of_a_share_is_about_that_of_the_normal_distribution() -> None:
    rows = [True] * 300 + [False] * 100
    [interval] = bootstrap.intervals(bootstrap.replicates(matched(*rows))["exact_match"], 400, (0.95,))
    half = 1.96 * math.sqrt(0.75 * 0.25 / 400)
    assert interval.low == pytest.approx(0.75 - half, abs=0.01)
    assert interval.high == pytest.approx(0.75 + half, abs=0.01)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    random = np.random.default_rng(7)
    held = 0
    for _ in range(100):
        rows = random.random(60) < 0.6
        [found] = bootstrap.intervals(bootstrap.replicates(matched(*rows))["exact_match"], 60, (0.9,))
        held += found.low <= 0.6 <= found.high
    assert 80 <= held <= 98


@settings(max_examples=30)
@given(st.lists(st.tuples(st.floats(0, 50), st.integers(0, 9)), min_size=1, max_size=30))
def test_wider_confidence_is_a_wider_interval_and_perplexity_stays_possible(rows: list[tuple[float, int]]) -> None:
    scores = {"perplexity": np.array(rows, dtype=float)}
    counted = int(metrics.scored("perplexity", scores["perplexity"]).sum())
    found = bootstrap.intervals(bootstrap.replicates(scores)["perplexity"], counted)
    if counted < bootstrap.LEAST_ROWS:
        assert not found and (counted or not metrics.values(scores))
        return
    assert [each.confidence for each in found] == list(CONFIDENCES)
    assert all(a.low >= b.low and a.high <= b.high for a, b in pairwise(found))
    assert all(math.isfinite(each.high) and each.low >= 1 for each in found)


def test_draws_are_the_same_every_time_and_however_many_fit_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = matched(*[True, False, True] * 20)
    first = bootstrap.replicates(scores)["exact_match"]
    monkeypatch.setattr(bootstrap, "CELLS", 500)
    assert (bootstrap.replicates(scores)["exact_match"] == first).all() and len(first) == bootstrap.REPLICATES


def test_equal_answers_gain_nothing_and_better_ones_are_found(tmp_path: Path, make_spec: MakeSpec) -> None:
    spec = make_spec(evaluation())
    same = matched(*[True, False] * 40)
    better = matched(*[True] * 70, *[False] * 10)
    made = [combination(tmp_path, name, scores) for name, scores in (("a", same), ("b", same), ("c", better))]
    found = {(each.combination, each.than): each for each in differences.between(spec, made)}
    assert list(found) == [(1, 0), (2, 0), (2, 1)]
    nothing, much = found[1, 0], found[2, 0]
    assert nothing.gain == 0 and nothing.p_value == 1 and nothing.intervals[0].low == -nothing.intervals[0].high < 0
    assert much.gain == pytest.approx(0.375) and much.p_value < 1e-5 and much.test == "McNemar"
    assert 0.15 < much.intervals[-1].low < much.gain < much.intervals[-1].high


def test_a_gain_is_an_improvement_for_what_is_better_when_lower_too(tmp_path: Path, make_spec: MakeSpec) -> None:
    high, low = ({"perplexity": np.array([[nats, 1.0], [nats + 1, 1.0]] * 30)} for nats in (3.0, 1.0))
    [found] = differences.between(
        make_spec(evaluation()), [combination(tmp_path, *each) for each in (("a", high), ("b", low))]
    )
    assert found.gain > 0 and found.intervals[0].low > 0 and found.p_value < 0.01 and found.test == "paired bootstrap"


def test_pairing_finds_what_two_intervals_would_not(tmp_path: Path, make_spec: MakeSpec) -> None:
    random = np.random.default_rng(3)
    base = random.random(200)
    scores = [{"rougeL": np.column_stack([np.clip(values, 0, 1), np.ones(200)])} for values in (base, base + 0.02)]
    a, b = (combination(tmp_path, name, each) for name, each in zip("ab", scores, strict=True))
    [found] = differences.between(make_spec(evaluation()), [a, b])
    assert b.intervals["rougeL"][2].low < a.intervals["rougeL"][2].high, "apart, the intervals overlap"
    assert found.intervals[2].low > 0 and found.p_value < 0.01


def test_many_combinations_are_compared_with_the_baseline_only() -> None:
    assert len(list(pairs(ALL_COMPARED))) == ALL_COMPARED * (ALL_COMPARED - 1) // 2
    assert list(pairs(ALL_COMPARED + 1)) == [(number, 0) for number in range(1, ALL_COMPARED + 1)]
    assert list(pairs(1)) == []


def test_what_kept_no_scores_is_not_compared(make_spec: MakeSpec) -> None:
    bare = CombinationOutput(model="a", metrics={"exact_match": 0.5})
    assert differences.between(make_spec(evaluation()), [bare, bare]) == ()


def test_the_table_says_how_sure_it_is(tmp_path: Path, make_spec: MakeSpec) -> None:
    made = [combination(tmp_path, "a", matched(*[True, False] * 20)), combination(tmp_path, "b", matched(*[True] * 40))]
    path = comparison_table.write(tmp_path / "t.csv", compared(make_spec(evaluation()), made))
    base, better = csv.DictReader(path.read_text().splitlines())
    assert float(base["exact_match_low"]) < 0.5 < float(base["exact_match_high"]) and base["exact_match_p"] == ""
    assert float(better["exact_match_gain_low"]) > 0.3 and float(better["exact_match_p"]) < 0.001
