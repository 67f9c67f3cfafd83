"""Slices, and the scores of single texts that they are made of."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core.errors import JobError
from studio.core.jobresult import CombinationOutput, EvaluationOutput, SliceOutput
from studio.core.jobspec import EvaluationWork
from studio.core.metric_names import OF_ROWS, RANGES
from studio.jobs.evaluation import comparison, comparison_table, metrics, slices, texts
from studio.jobs.evaluation.metrics import Answers

from ..workbench import evaluation

WORDS = st.text(st.sampled_from("ab c.\n"), max_size=12)


def work(**changes: Any) -> EvaluationWork:
    return EvaluationWork.model_validate(evaluation(**changes))


def scores(predictions: list[str], expected: list[str]) -> metrics.Scores:
    losses = [(float(len(text)), 1) for text in expected]
    answers = Answers(tuple(predictions), tuple(expected), 1.0, lambda: losses, lambda: [len(p) for p in predictions])
    return metrics.score(tuple(name for name in OF_ROWS if name != "macro_f1"), answers)


def test_bleu_of_an_equal_answer_is_1_however_short_and_order_counts() -> None:
    assert texts.bleu("Card!", "card") == texts.bleu("a b c d e", "a b c d e") == 1.0
    assert texts.bleu("", "") == 1.0 and texts.bleu("card", "") == texts.bleu("", "card") == 0.0
    assert (
        0
        < texts.bleu("please block my card", "my card please block")
        < texts.bleu("please block my card", "please block my cards")
    )


def test_bleu_punishes_an_answer_that_is_too_short() -> None:
    assert texts.bleu("please block my card", "please block") == pytest.approx(math.exp(1 - 4 / 2))


def test_the_readability_grade_is_that_of_the_formula() -> None:
    text = "The card is lost. Please block it now!"
    assert texts.ari_grade_level(text) == pytest.approx(4.71 * 29 / 8 + 0.5 * 8 / 2 - 21.43)
    assert texts.ari_grade_level(" ... ") == 0.0
    assert texts.ari_grade_level("a") == pytest.approx(RANGES["ari_grade_level"][0])


@given(st.lists(st.tuples(WORDS, WORDS, st.sampled_from(["x", "y", None, 3])), min_size=1, max_size=20))
def test_slices_share_the_rows_and_each_has_what_its_rows_alone_would_have(rows: list[tuple[str, str, Any]]) -> None:
    predictions, expected, cells = (list(column) for column in zip(*rows, strict=True))
    whole = scores(predictions, expected)
    cut = slices.cut({"kind": cells}, work(metrics=["exact_match"]))
    assert sorted(row for each in cut for row in each.rows.tolist()) == list(range(len(rows)))
    for each, made in zip(cut, slices.measured(cut, whole), strict=True):
        mine = each.rows.tolist()
        alone = metrics.values(scores([predictions[row] for row in mine], [expected[row] for row in mine]))
        assert made.metrics == pytest.approx(alone) and made.rows == len(mine)
        assert all(RANGES[name][0] - 1e-9 <= value <= RANGES[name][1] + 1e-9 for name, value in alone.items())


def test_a_value_is_one_line_without_secrets_and_of_bounded_length() -> None:
    cells = [" a\nb ", None, "", "hf_" + "A" * 34, "x" * 500]
    values = [each.value for each in slices.cut({"kind": cells}, work())]
    assert slices.NONE in values and "a b" in values and "x" * 79 + "…" in values
    assert not any("hf_A" in value for value in values) and len(values) == 4


def test_too_many_slices_are_refused_before_a_model_is_asked() -> None:
    with pytest.raises(JobError, match="column 'id' has 51 different values; at most 50"):
        slices.cut({"id": range(51)}, work())
    many = work(metrics=["exact_match", "rouge1"], combinations=[evaluation()["combinations"][0]] * 250)
    with pytest.raises(JobError, match="50 slices of 250 combinations with 2 metrics make 25,000 numbers"):
        slices.cut({"id": range(50)}, many)


def test_names_for_mlflow_are_plain_and_never_the_same() -> None:
    from mlflow.utils.validation import _validate_metric_name

    of = [
        SliceOutput(column="the kind", value=value, rows=1, metrics={"bleu": 0.5})
        for value in ("a/b", "a b", "../", "é")
    ]
    named = comparison.of_slices(of)
    assert list(named) == ["bleu/the_kind/a_b", "bleu/the_kind/a_b.2", "bleu/the_kind/_", "bleu/the_kind/é"]
    for name in named:
        _validate_metric_name(name)


def test_the_table_has_a_line_for_each_slice_beside_the_baselines(tmp_path: Path) -> None:
    def combination(adapter: str, share: float) -> CombinationOutput:
        sliced = SliceOutput(column="kind", value="x", rows=4, metrics={"exact_match": share})
        return CombinationOutput(
            model="m", adapter=adapter, metrics={"exact_match": share / 2, "latency": 1.0}, slices=(sliced,)
        )

    made = EvaluationOutput(combinations=(combination("", 0.25), combination("a", 1.0)), rows=9)
    path = comparison_table.write(tmp_path / "t.csv", made)
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [(row["adapter"], row["slice"], row["value"], row["rows"]) for row in rows] == [
        ("", "", "", "9"), ("a", "", "", "9"), ("", "kind", "x", "4"), ("a", "kind", "x", "4"),
    ]  # fmt: skip
    assert rows[3]["exact_match_gain"] == "0.75" and rows[3]["latency"] == rows[3]["latency_gain"] == ""
