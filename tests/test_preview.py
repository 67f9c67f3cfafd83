"""What training will see, and what is said where nobody can see it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from studio.checking import view
from studio.core.errors import StudioError
from studio.core.references import Ref
from studio.load.project import load_project
from studio.preview import Ask, Preview, preview
from tests.projects import Document, changed, pick, support_desk, with_spec, write
from tests.rules.examples import SAMPLE

JOB, PROMPT = Ref("FineTuningJob", "train"), Ref("Prompt", "route")
Look = Callable[..., Preview]


@pytest.fixture
def look(tmp_path: Path) -> Look:
    """Preview a project of these documents, whose tokenizer makes a token of each word."""

    def look(documents: list[Document] | None = None, ref: Ref = JOB, **asked: Any) -> Preview:
        root = tmp_path / "project"
        write(root, support_desk() if documents is None else documents)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            (root / "models" / "tiny" / name).write_bytes((SAMPLE / "models" / "tiny-llama" / name).read_bytes())
        return preview(view(load_project(root)), ref, Ask(**asked))

    return look


def expect_refusal(look: Look, documents: list[Document], words: str, ref: Ref = JOB) -> None:
    with pytest.raises(StudioError) as stop:
        look(documents, ref)
    assert words in stop.value.message and stop.value.hint


def test_the_first_the_longest_and_random_rows_are_shown_once_each(look: Look) -> None:
    found = look(rows=4)
    assert [row.why for row in found.shown][:2] == ["the first", "random"]  # all rows are equally long
    numbers = [row.number for row in found.shown]
    assert len(set(numbers)) == len(numbers)
    assert numbers == [row.number for row in look(rows=4).shown] != [row.number for row in look(rows=4, seed=1).shown]
    assert len(look(rows=0).shown) == 1 and len(look(rows=1000).shown) == 40


def test_a_row_is_the_text_that_training_sees_with_the_place_where_its_completion_begins(look: Look) -> None:
    row = look(rows=0).shown[0]
    assert (row.input, row.completion) == ("### my card number 0 is lost\n>", " loan</s>")
    assert (row.tokens, row.begins) == (10, 8)


def test_without_two_parts_or_with_full_loss_the_whole_text_teaches(look: Look) -> None:
    row = look(with_spec(support_desk(), "FineTuningJob", loss="full"), rows=0).shown[0]
    assert (row.input, row.begins) == ("", 0) and row.completion.endswith("> loan</s>")


def test_a_job_tells_its_split_and_its_steps(look: Look) -> None:
    found = look()
    assert found.split is not None and (found.split.train, found.split.held_out) == (32, 8)
    assert found.schedule is not None
    assert (found.schedule.effective, found.schedule.steps_per_epoch, found.schedule.steps) == (4, 8, 16)


@pytest.mark.parametrize(
    ("said", "train", "held_out", "devices", "steps"),
    [
        ({"dataset_fraction": 0.5}, 16, 4, 1, 8),
        ({"train_test_split": 1.0}, 40, 0, 1, 20),
        ({"num_workers": 2}, 32, 8, 2, 8),
        ({"num_gpu": 4}, 32, 8, 4, 4),
        ({"num_workers": 2, "num_gpu": 1}, 32, 8, 2, 8),
    ],
)
def test_split_and_steps_follow_the_job(
    look: Look, said: dict[str, Any], train: int, held_out: int, devices: int, steps: int
) -> None:
    found = look(with_spec(support_desk(), "FineTuningJob", **said))
    assert found.split is not None and found.schedule is not None
    assert (found.split.train, found.split.held_out) == (train, held_out)
    assert (found.schedule.devices, found.schedule.steps) == (devices, steps)


def test_packing_leaves_the_steps_open_and_says_so(look: Look) -> None:
    found = look(with_spec(support_desk(), "FineTuningJob", training_arguments_config={"packing": True}))
    assert found.schedule is not None and found.schedule.steps is None
    assert any("packing" in note for note in found.notes)


def test_a_prompt_is_measured_with_the_model_of_a_job_that_uses_it(look: Look) -> None:
    found = look(ref=PROMPT)
    assert (found.model, found.chosen) == (Ref("Model", "tiny"), f"the base model of {JOB}")
    assert found.schedule is None and found.limit.tokens == 1024


def test_a_prompt_that_no_job_uses_is_measured_in_characters_until_a_model_is_named(look: Look) -> None:
    alone = [document for document in support_desk() if document["kind"] in ("Dataset", "Prompt", "Model")]
    found = look(alone, PROMPT)
    assert found.missing is not None and "--model" in found.missing.hint
    assert found.spread.unit == "characters" and found.shown[0].tokens is None and found.spread.cut is None
    assert look(alone, PROMPT, model="tiny").spread.unit == "tokens"
    assert look(alone, PROMPT, model="Model/tiny").chosen == "as asked"


def test_generated_templates_are_shown_as_they_are_generated(look: Look) -> None:
    templates = {"prompt_template": "", "input_template": "", "completion_template": "", "generate": True}
    row = look(with_spec(support_desk(), "Prompt", **templates), rows=0).shown[0]
    assert row.input.endswith("<Text>: my card number 0 is lost\n<Output>:") and row.completion == " loan\n</s>"


def test_a_job_of_another_framework_has_no_steps_and_says_why(look: Look) -> None:
    said = {"framework_type": "axolotl", "axolotl_config": {"sequence_len": 8}}
    found = look(with_spec(support_desk(), "FineTuningJob", **said))
    assert found.schedule is None and "does not train with trl" in found.notes[0]


@pytest.mark.parametrize(
    ("kind", "said", "words"),
    [
        ("Dataset", {"location": "data/gone.csv"}, "'data/gone.csv' does not exist"),
        ("Dataset", {"location": "", "type": "project_csv"}, "the rows of Dataset/tickets are not known"),
        ("Dataset", {"type": "huggingface", "huggingface_name": "o/n"}, "is on the hub, and preview opens no socket"),
        ("Prompt", {"completion_template": " {quue}"}, "{quue} is not a column"),
        ("Prompt", {"completion_template": " {queue"}, "a single '{'"),
        ("FineTuningJob", {"prompt": "gone"}, "names no prompt"),
        ("FineTuningJob", {"dataset": "gone"}, "names no data set"),
        ("FineTuningJob", {"training_arguments_config": "gone"}, "the training arguments of"),
    ],
)
def test_what_cannot_be_looked_at_is_said_with_what_to_do(
    look: Look, kind: str, said: dict[str, Any], words: str
) -> None:
    expect_refusal(look, with_spec(support_desk(), kind, **said), words)


# Folders


def folder(look: Look, tmp_path: Path) -> tuple[Path, list[Document]]:
    documents = with_spec(support_desk(), "Dataset", type="project", location="data/saved", features=["text", "queue"])
    saved = tmp_path / "project" / "data" / "saved"
    saved.mkdir(parents=True)
    return saved, documents


def test_a_folder_written_by_save_to_disk_is_read_without_the_library(look: Look, tmp_path: Path) -> None:
    import datasets

    saved, documents = folder(look, tmp_path)
    rows = datasets.Dataset.from_dict({"text": ["a", "b c", "d"], "queue": ["x", "y", "z"]})
    datasets.DatasetDict({"train": rows, "test": rows.select([0])}).save_to_disk(str(saved))
    found = look(documents)
    assert [row.input for row in found.shown[:2]] == ["### a\n>", "### b c\n>"]
    assert found.split is not None and (found.split.train, found.split.held_out) == (3, 1)
    rows.save_to_disk(str(saved / "alone"))
    assert len(look(with_spec(documents, "Dataset", location="data/saved/alone")).shown) == 3


def test_a_folder_of_data_files_is_read_by_split(look: Look, tmp_path: Path) -> None:
    saved, documents = folder(look, tmp_path)
    (saved / "train.csv").write_text("text,queue\na,x\nb,y\n")
    (saved / "validation.jsonl").write_text('{"text": "c", "queue": "z"}\n')
    found = look(documents)
    assert found.split is not None and (found.split.train, found.split.held_out) == (2, 1)


def test_a_folder_whose_rows_differ_in_their_columns_is_refused(look: Look, tmp_path: Path) -> None:
    saved, documents = folder(look, tmp_path)
    (saved / "train.jsonl").write_text('{"text": "a", "queue": "x"}\n{"text": "b"}\n')
    expect_refusal(look, documents, "row 2 has other columns")


def test_text_in_an_arrow_file_that_is_not_utf8_is_said(look: Look, tmp_path: Path) -> None:
    import pyarrow as pa

    saved, documents = folder(look, tmp_path)
    bad = pa.array([b"\xff\xfe", b"b"], pa.binary()).view(pa.string())
    table = pa.table({"text": bad, "queue": ["x", "y"]})
    with pa.ipc.new_stream(str(saved / "data.arrow"), table.schema) as stream:
        stream.write_table(table)
    (saved / "state.json").write_text('{"_data_files": [{"filename": "data.arrow"}]}')
    expect_refusal(look, documents, "cannot be read")


def test_arrow_files_need_pyarrow_and_a_folder_of_another_layout_is_refused(
    look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved, documents = folder(look, tmp_path)
    (saved / "README.md").write_text("rows")
    expect_refusal(look, documents, "was not written by save_to_disk")
    (saved / "state.json").write_text('{"_data_files": [{"filename": "data.arrow"}]}')
    expect_refusal(look, documents, "cannot be read")
    (saved / "data.arrow").write_bytes(b"\xff" * 64)
    expect_refusal(look, documents, "cannot be read")
    (saved / "state.json").write_text('{"_data_files": [{"filename": "../../../outside.arrow"}]}')
    expect_refusal(look, documents, "leaves the project")
    (saved / "state.json").write_text("[")
    expect_refusal(look, documents, "lists no data files")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    expect_refusal(look, documents, "needs pyarrow")


def test_previewing_writes_nothing(look: Look, tmp_path: Path) -> None:
    from tests.projects import snapshot

    documents = changed(support_desk(), "Prompt", lambda document: document["metadata"].update(title="T"))
    assert pick(documents, "Prompt")["metadata"]["title"] == "T"
    look(documents)
    before = snapshot(tmp_path)
    preview(view(load_project(tmp_path / "project")), JOB, Ask())
    assert snapshot(tmp_path) == before
