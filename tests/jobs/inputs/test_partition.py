"""Which rows train and which are held out."""

from __future__ import annotations

import pytest
from datasets import Dataset

from studio.core.errors import JobError
from studio.core.jobspec import Split
from studio.jobs.inputs.partition import partition, sample


@pytest.mark.parametrize("rows", [2, 7, 25, 1000])
@pytest.mark.parametrize("train", [0.5, 0.8, 0.9])
def test_split_rows_are_those_of_the_datasets_library(rows: int, train: float) -> None:
    theirs = Dataset.from_dict({"row": range(rows)}).train_test_split(train_size=train, seed=42)
    ours = partition(rows, Split(train=train))
    assert list(ours.train) == theirs["train"]["row"][:]
    assert list(ours.held_out) == theirs["test"]["row"][:]


def test_sampled_rows_are_those_of_a_shuffled_dataset() -> None:
    theirs = Dataset.from_dict({"row": range(100)}).shuffle(seed=42).select(range(30))
    assert list(sample(100, 0.3, 42)) == theirs["row"][:]


def test_all_rows_stay_in_order_when_nothing_is_sampled_or_held_out() -> None:
    parts = partition(5, Split(fraction=1.0, train=1.0))
    assert list(parts.train) == [0, 1, 2, 3, 4] and not len(parts.held_out)


@pytest.mark.parametrize(("rows", "split"), [(1, Split(train=0.9)), (5, Split(fraction=0.1)), (0, Split(train=1.0))])
def test_a_split_without_rows_on_one_side_is_refused(rows: int, split: Split) -> None:
    with pytest.raises(JobError, match=f"{rows} rows"):
        partition(rows, split)
