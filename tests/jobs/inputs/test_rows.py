"""Reading rows: without guessing, and only what the plan saw."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, DatasetDict

from studio.core.errors import JobError
from studio.core.fingerprints import file_digest
from studio.core.jobspec import DatasetInput, JobSpec, SeenRows, Split
from studio.jobs.inputs import rows

from ..workbench import MakeSpec, training


@pytest.fixture
def spec(make_spec: MakeSpec) -> JobSpec:
    return make_spec(training())


def load(spec: JobSpec, kind: str, name: str, content: str | bytes, **changes: Any) -> DatasetDict:
    path = Path(spec.project_dir, name)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return rows.load(DatasetInput(name="rows", type=kind, location=name, **changes), spec)


def test_csv_cells_stay_text(spec: JobSpec) -> None:
    loaded = load(spec, "project_csv", "a.csv", 'code,note\n001,NA\n2,\n3.0,"a, b\nc"\n')
    assert loaded["train"]["code"][:] == ["001", "2", "3.0"]
    assert loaded["train"]["note"][:] == ["NA", "", "a, b\nc"]


def test_a_cell_may_be_long(spec: JobSpec) -> None:
    long = "x" * 200_000
    assert load(spec, "project_csv", "a.csv", f"a\n{long}\n")["train"]["a"][:] == [long]


def test_a_byte_order_mark_is_not_part_of_a_name(spec: JobSpec) -> None:
    loaded = load(spec, "project_csv", "a.csv", b"\xef\xbb\xbfcode\n1\n")
    assert loaded["train"].column_names == ["code"]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("a,b\n1\n", r"a\.csv:2: 1 cell where the header has 2"),
        ("a,a\n1,2\n", r"a\.csv:1: the header names the column 'a' twice"),
        ("", "has no header line"),
        ("a,b\n", "has no rows"),
        (b"a\n\xff\xfe\n", r"a\.csv:2:1: not UTF-8"),
        ('a\n"open\n', r"a\.csv:2: unexpected end of data"),
    ],
)
def test_a_faulty_csv_file_says_what_is_wrong(spec: JobSpec, content: str | bytes, fault: str) -> None:
    with pytest.raises(JobError, match=fault):
        load(spec, "project_csv", "a.csv", content)


@pytest.mark.parametrize("content", ['[{"a": 1}, {"a": 2, "b": "x"}]', '{"version": 3, "rows": [{"a": 1}, {"a": 2}]}'])
def test_json_is_an_array_of_objects_or_holds_one(spec: JobSpec, content: str) -> None:
    assert load(spec, "project_json", "a.json", content)["train"]["a"][:] == [1, 2]


@pytest.mark.parametrize("content", ["[1, 2]", '{"a": [{}], "b": [{}]}', '"text"', "[]", "{"])
def test_other_json_is_refused(spec: JobSpec, content: str) -> None:
    with pytest.raises(JobError, match=r"a\.json"):
        load(spec, "project_json", "a.json", content)


def test_a_column_that_first_appears_in_a_later_object_is_not_lost(spec: JobSpec) -> None:
    loaded = load(spec, "project_jsonl", "a.jsonl", '{"a": 1}\n\n{"a": null, "b": "x"}\n')
    assert loaded["train"][:] == {"a": [1, None], "b": [None, "x"]}


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ('{"a": 1}\n{"a": \n', "a.jsonl:2:"),
        ("[1]\n", "a.jsonl:1: not an object"),
        ("", "no rows"),
        ('{"a": 1}\n{"a": "x"}\n', "column 'a' mixes types"),
    ],
)
def test_a_faulty_jsonl_file_names_line_or_column(spec: JobSpec, content: str, fault: str) -> None:
    with pytest.raises(JobError, match=fault):
        load(spec, "project_jsonl", "a.jsonl", content)


def test_a_file_that_changed_since_the_plan_is_refused(spec: JobSpec) -> None:
    with pytest.raises(JobError, match="changed since the plan"):
        load(spec, "project_csv", "a.csv", "a\n1\n", digest="0" * 64)


def test_a_file_as_planned_is_read(spec: JobSpec) -> None:
    digest = file_digest(Path(spec.project_dir, "data/tickets.csv"))
    dataset = DatasetInput(name="tickets", type="project_csv", location="data/tickets.csv", digest=digest)
    assert len(rows.load(dataset, spec)["train"]) == 25


def test_a_missing_file_is_named(spec: JobSpec) -> None:
    with pytest.raises(JobError, match=r"gone\.csv does not exist"):
        rows.load(DatasetInput(name="rows", type="project_csv", location="gone.csv"), spec)


def test_declared_features_must_exist(spec: JobSpec) -> None:
    with pytest.raises(JobError, match="no column answer"):
        load(spec, "project_csv", "a.csv", "question\n1\n", features=("question", "answer"))


def test_a_folder_written_by_save_to_disk_is_read(spec: JobSpec) -> None:
    saved = DatasetDict({"train": Dataset.from_dict({"a": [1]}), "test": Dataset.from_dict({"a": [2]})})
    saved.save_to_disk(str(Path(spec.project_dir, "saved")))
    loaded = rows.load(DatasetInput(name="rows", type="project", location="saved"), spec)
    assert loaded["test"]["a"][:] == [2]


def test_a_folder_of_data_files_is_read_without_guessing(spec: JobSpec) -> None:
    folder = Path(spec.project_dir, "files")
    folder.mkdir()
    (folder / "train.csv").write_text("a\n001\n")
    (folder / "test.csv").write_text("a\nNA\n")
    loaded = rows.load(DatasetInput(name="rows", type="project", location="files"), spec)
    assert loaded["train"]["a"][:] == ["001"] and loaded["test"]["a"][:] == ["NA"]


def test_a_folder_of_parquet_files_is_read(spec: JobSpec) -> None:
    folder = Path(spec.project_dir, "parquet")
    folder.mkdir()
    Dataset.from_dict({"a": ["x"]}).to_parquet(str(folder / "train.parquet"))
    assert rows.load(DatasetInput(name="rows", type="project", location="parquet"), spec)["train"]["a"][:] == ["x"]


@pytest.mark.parametrize("location", ["nowhere", "empty"])
def test_a_folder_without_rows_is_refused(spec: JobSpec, location: str) -> None:
    Path(spec.project_dir, "empty").mkdir()
    with pytest.raises(JobError, match=location):
        rows.load(DatasetInput(name="rows", type="project", location=location), spec)


def numbered(rows_: int, **splits: int) -> DatasetDict:
    made = {name: Dataset.from_dict({"row": range(count)}) for name, count in {"train": rows_, **splits}.items()}
    return DatasetDict(made)


def test_an_existing_test_split_is_held_out_as_it_is() -> None:
    parts = rows.split(numbered(10, test=3), Split(fraction=0.5, train=0.9))
    assert len(parts.train) == 5 and parts.held_out is not None and len(parts.held_out) == 3


def test_no_row_is_held_out_at_a_share_of_one() -> None:
    parts = rows.split(numbered(10), Split(train=1.0))
    assert len(parts.train) == 10 and parts.held_out is None


def test_a_dataset_without_train_rows_names_what_it_has() -> None:
    with pytest.raises(JobError, match="it has dev"):
        rows.split(DatasetDict({"dev": Dataset.from_dict({"row": [1]})}), Split())


def test_unseen_rows_are_those_that_no_training_saw() -> None:
    loaded = numbered(100)
    seen = (SeenRows(dataset_digest="d", split=Split(train=0.8)), SeenRows(dataset_digest="d", split=Split(train=0.6)))
    trained = {row for each in seen for row in rows.split(loaded, each.split).train["row"]}
    left = rows.unseen(loaded, "d", seen, 1.0)
    assert set(left.rows["row"]) == set(range(100)) - trained
    assert list(left.indices) == left.rows["row"][:]


def test_training_on_other_content_does_not_count() -> None:
    seen = (SeenRows(dataset_digest="other", split=Split(train=0.8)),)
    assert len(rows.unseen(numbered(10), "d", seen, 1.0).rows) == 10


def test_an_existing_test_split_is_what_is_evaluated() -> None:
    seen = (SeenRows(dataset_digest="d", split=Split(train=1.0)),)
    assert rows.unseen(numbered(10, test=4), "d", seen, 1.0).split == "test"


def test_a_share_of_the_unseen_rows_is_the_same_every_time() -> None:
    first, again = (rows.unseen(numbered(100), "d", (), 0.2).indices for _ in range(2))
    assert first == again and len(first) == 20


def test_it_is_an_error_when_no_row_is_left_to_evaluate_on() -> None:
    seen = (SeenRows(dataset_digest="d", split=Split(train=1.0)),)
    with pytest.raises(JobError, match="none is left"):
        rows.unseen(numbered(10), "d", seen, 1.0)


def test_a_share_of_less_than_one_row_is_an_error() -> None:
    with pytest.raises(JobError, match="less than one row"):
        rows.unseen(numbered(10), "d", (), 0.01)


def test_large_json_numbers_and_nested_values_survive(spec: JobSpec) -> None:
    content = json.dumps([{"id": 2**53 + 1, "tags": ["a", "b"]}])
    row = load(spec, "project_json", "a.json", content)["train"][0]
    assert row == {"id": 2**53 + 1, "tags": ["a", "b"]}
