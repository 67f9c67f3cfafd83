"""Answers that are classes: when they are, which was given for which, macro F1 as scikit-learn has it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, f1_score

from studio.core.errors import JobError
from studio.jobs import charts
from studio.jobs.evaluation import confusion, metrics
from studio.jobs.evaluation.metrics import Answers

LABELS = ("card", "loan", "fees")
PAIRS = st.lists(
    st.tuples(st.sampled_from(LABELS), st.sampled_from([*LABELS, " card\n", "?"])), min_size=4, max_size=30
)


def answers(pairs: list[tuple[str, str]]) -> Answers:
    expected = [label for label in LABELS for _ in range(5)] + [expected for expected, _ in pairs]
    predictions = [label for label in LABELS for _ in range(5)] + [given for _, given in pairs]
    return Answers(tuple(predictions), tuple(expected), 1.0, list)


@given(PAIRS)
def test_macro_f1_and_matrix_are_those_of_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    made = answers(pairs)
    stripped = [text.strip() for text in made.predictions]
    value = metrics.values(metrics.score(("macro_f1",), made))["macro_f1"]
    assert value == pytest.approx(f1_score(made.expected, stripped, labels=LABELS, average="macro"))
    known = confusion.classes(made.expected)
    assert known == tuple(sorted(LABELS))
    theirs = confusion_matrix(made.expected, stripped, labels=[*known, "?"])[:-1]
    assert confusion.matrix(known, made).tolist() == theirs.tolist()


def test_a_class_that_no_row_has_is_left_out_of_the_mean() -> None:
    assert confusion.macro_f1(np.array([[1.0, 0, 0, 2, 0, 0, 2, 0, 0]])).tolist() == [0.5]


@pytest.mark.parametrize(
    ("expected", "number"),
    [
        (["a", "b"] * 5, 2), (["a", "b"] * 4, 0), (["a"] * 20, 0), ([" a", "a ", "b"] * 4, 2),
        ([str(n % 30) for n in range(150)], 30), ([str(n % 31) for n in range(310)], 0), ([], 0),
    ],
)  # fmt: skip
def test_few_different_answers_with_rows_of_each_are_classes(expected: list[str], number: int) -> None:
    assert len(confusion.classes(expected)) == number


def test_macro_f1_of_free_text_is_refused_before_a_model_is_asked() -> None:
    with pytest.raises(JobError, match="macro_f1 is of classes: 3 rows expect 3 different answers"):
        confusion.check(["macro_f1"], ["a", "b", "c"])
    confusion.check(["exact_match"], ["a", "b", "c"])


def test_the_matrix_is_written_without_secrets_and_drawn(tmp_path: Path) -> None:
    known = ("card", "hf_" + "A" * 34, "$x" + "y" * 50)
    counted = np.array([[5, 0, 1, 0], [0, 3, 0, 2], [0, 0, 0, 5]])
    text = confusion.write(tmp_path / "c.csv", known, counted).read_text()
    assert text.splitlines()[0].startswith("expected,card,") and "hf_A" not in text
    assert text.splitlines()[1] == "card,5,0,1,0"
    drawn = charts.draw_confusion(counted, list(known), "tiny", tmp_path / "c.png")
    assert drawn.read_bytes().startswith(b"\x89PNG")
