"""Looking at data sets: facts of the good, a clear defect of the bad, and nothing read outside the project."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.core import rowfiles
from studio.core.fingerprints import file_digest
from studio.load import datasets
from studio.load.observation import Defect, Observation, Unusable
from studio.resources.dataset import DatasetFacts, DatasetSpec

ENDINGS = {"project_csv": ".csv", "project_json": ".json", "project_jsonl": ".jsonl"}


def observe(root: Path, type: str, content: str | bytes, **spec: Any) -> Observation:
    """What is seen of a data set with this content."""
    name = f"rows{ENDINGS[type]}"
    (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return datasets.observe(DatasetSpec(type=type, location=name, **spec), root)


def facts(found: Observation) -> DatasetFacts:
    assert isinstance(found, DatasetFacts), found
    return found


def defect(found: Observation) -> Unusable:
    assert isinstance(found, Unusable), found
    assert found.message and found.hint
    return found


@pytest.mark.parametrize(
    ("type", "content", "columns", "rows"),
    [
        ("project_csv", "a,b\n1,2\n", ("a", "b"), 1),
        ("project_csv", b"\xef\xbb\xbfa,b\r\n1,NA\r\n,nan\r\n", ("a", "b"), 2),
        ("project_csv", 'a,b\n"x\ny, z",2\n3,"say ""hi"""\n', ("a", "b"), 2),
        ("project_csv", "a,b\n1,2\n\n3,4", ("a", "b"), 2),
        ("project_csv", "a\nNULL\n", ("a",), 1),
        ("project_csv", 'a\n""\n', ("a",), 1),
        ("project_csv", "größe,名前\n1,2\n", ("größe", "名前"), 1),
        ("project_csv", "a,b\n" + "x" * 300_000 + ",1\n", ("a", "b"), 1),
        ("project_json", '[{"a": 1, "b": null}, {"b": 2, "a": "NA"}]', ("a", "b"), 2),
        ("project_json", '{"data": [{"a": 1}], "version": 2}', ("a",), 1),
        ("project_json", b'\xef\xbb\xbf[{"a": 1}]', ("a",), 1),
        ("project_jsonl", '{"a": 1}\n\n{"a": 2}\n  \n', ("a",), 2),
        ("project_jsonl", b'\xef\xbb\xbf{"a": 1}\r\n{"a": NaN}\r\n', ("a",), 2),
        ("project_jsonl", '{"a": "x\u2028y"}', ("a",), 1),
    ],
)
def test_good_rows_give_columns_rows_and_the_digest_of_the_bytes(
    tmp_path: Path, type: str, content: str | bytes, columns: tuple[str, ...], rows: int
) -> None:
    found = facts(observe(tmp_path, type, content))
    assert (found.features, found.rows) == (columns, rows)
    assert found.digest == file_digest(tmp_path / f"rows{ENDINGS[type]}")


@pytest.mark.parametrize(
    ("type", "content", "kind", "words"),
    [
        ("project_csv", "", Defect.EMPTY, "'rows.csv' is empty"),
        ("project_csv", "a,b\n", Defect.EMPTY, "holds no rows"),
        ("project_csv", "\n\n", Defect.EMPTY, "has no header line"),
        ("project_csv", "a,b\n1,2\n1,2,3\n", Defect.RAGGED, "rows.csv:3: 3 cells where the header has 2"),
        ("project_csv", "a,b\n1\n", Defect.RAGGED, "rows.csv:2: 1 cell where the header has 2"),
        ("project_csv", 'a,b\n"1\n2",3\n4\n', Defect.RAGGED, "rows.csv:4: 1 cell"),
        ("project_csv", "a;b\n1,5;2\n", Defect.SEPARATOR, "rows.csv:1: one column, 'a;b'"),
        ("project_csv", "a,a\n1,2\n", Defect.SYNTAX, "names the column 'a' twice"),
        ("project_csv", "a,\n1,2\n", Defect.SYNTAX, "has a column without a name"),
        ("project_csv", 'a,b\n"1,2\n', Defect.SYNTAX, "rows.csv:2: unexpected end of data"),
        ("project_csv", 'a,b\n"x"y,2\n', Defect.SYNTAX, "rows.csv:2:"),
        ("project_csv", b"a,b\n\xff,2\n", Defect.ENCODING, "rows.csv:2:1: not UTF-8 (byte 0xff)"),
        ("project_csv", "a,b\n1,2\n".encode("utf-16"), Defect.ENCODING, "'rows.csv' is not UTF-8 but UTF-16"),
        ("project_json", "", Defect.EMPTY, "is empty"),
        ("project_json", "[]", Defect.EMPTY, "holds no rows"),
        ("project_json", "{", Defect.SYNTAX, "rows.json:1:2: Expecting property name"),
        ("project_json", "5", Defect.SYNTAX, "neither an array of objects"),
        ("project_json", '{"a": 1}', Defect.SYNTAX, "neither an array of objects"),
        ("project_json", '{"a": [], "b": []}', Defect.SYNTAX, "neither an array of objects"),
        ("project_json", '[{"a": 1}, 5]', Defect.SYNTAX, "item 1 is not an object"),
        ("project_json", "[{}]", Defect.SYNTAX, "item 0: an empty object"),
        ("project_json", '[{"a": 1}, {"b": 1}]', Defect.RAGGED, "item 1 lacks 'a'"),
        ("project_json", '[{"a": 1}, {"a": 1, "b": 1}]', Defect.RAGGED, "item 1 has an extra key 'b'"),
        ("project_json", b'[{"a": "\xff"}]', Defect.ENCODING, "rows.json:1:9: not UTF-8"),
        ("project_json", "[" * 100_000, Defect.SYNTAX, "rows.json: nested too deeply"),
        ("project_jsonl", "", Defect.EMPTY, "is empty"),
        ("project_jsonl", "\n\n", Defect.EMPTY, "holds no rows"),
        ("project_jsonl", '{"a": 1}\n{"a": \n', Defect.SYNTAX, "rows.jsonl:2:"),
        ("project_jsonl", '{"a": 1}\n[1]\n', Defect.SYNTAX, "rows.jsonl:2: not an object"),
        ("project_jsonl", '{"a": 1}\n{"b": 1}\n', Defect.RAGGED, "rows.jsonl:2 lacks 'a'"),
        ("project_jsonl", b'{"a": "x"}\n{"a": "\xc3\xa4 \xff"}\n', Defect.ENCODING, "rows.jsonl:2:10: not UTF-8"),
        ("project_jsonl", "[" * 100_000, Defect.SYNTAX, "rows.jsonl:1:"),
    ],
)
def test_bad_rows_give_the_defect_its_line_and_a_hint(
    tmp_path: Path, type: str, content: str | bytes, kind: Defect, words: str
) -> None:
    found = defect(observe(tmp_path, type, content))
    assert found.defect is kind and words in found.message


@pytest.mark.parametrize(
    ("location", "kind", "words"),
    [
        ("nowhere.csv", Defect.MISSING, "the file 'nowhere.csv' does not exist"),
        ("folder.csv", Defect.MISSING, "'folder.csv' is a folder, not a file"),
        ("rows.txt", Defect.EXTENSION, "does not end in .csv"),
        ("ROWS.CSV", Defect.EXTENSION, "does not end in .csv"),
        ("../rows.csv", Defect.OUTSIDE, "leaves the project"),
        ("/etc/passwd.csv", Defect.OUTSIDE, "leaves the project"),
        ("link.csv", Defect.OUTSIDE, "leaves the project"),
        ("circle.csv", None, ""),
        ("a\0b.csv", Defect.OUTSIDE, "leaves the project"),
        ("\ud800.csv", Defect.OUTSIDE, "leaves the project"),
        ("x" * 300 + ".csv", None, ""),
    ],
)
def test_a_location_that_is_no_file_of_the_project_is_said_to_be_none(
    tmp_path: Path, location: str, kind: Defect | None, words: str
) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (tmp_path / "rows.csv").write_text("a\n1\n")
    (root / "rows.txt").write_text("a\n1\n")
    (root / "ROWS.CSV").write_text("a\n1\n")
    (root / "folder.csv").mkdir()
    (root / "link.csv").symlink_to("../rows.csv")
    (root / "circle.csv").symlink_to("circle.csv")
    found = defect(datasets.observe(DatasetSpec(type="project_csv", location=location), root))
    assert kind in (None, found.defect) and words in found.message


@pytest.mark.parametrize("spec", [{"type": ""}, {"type": "project_csv"}, {"type": "parquet", "location": "x"}])
def test_a_manifest_that_does_not_say_where_the_rows_are_gives_no_facts(tmp_path: Path, spec: dict[str, str]) -> None:
    assert datasets.observe(DatasetSpec(**spec), tmp_path) is None


def test_a_hub_data_set_is_known_by_what_the_manifest_says(tmp_path: Path) -> None:
    def hub(**spec: Any) -> Observation:
        return datasets.observe(DatasetSpec(type="huggingface", huggingface_name="o/n", **spec), tmp_path)

    assert facts(hub()).features == ()
    one = facts(hub(features=["a"], revision="1"))
    assert one.features == ("a",) and one.rows is None
    assert one.digest == facts(hub(features=["b"], revision="1")).digest != facts(hub(features=["a"])).digest


# Folders


def folder(root: Path, **content: str) -> Observation:
    for name, text in content.items():
        file = root / "saved" / name.replace("__", "/").replace("_dot_", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return datasets.observe(DatasetSpec(type="project", location="saved"), root)


def test_a_folder_written_by_save_to_disk_tells_its_columns(tmp_path: Path) -> None:
    info = json.dumps({"features": {"text": {"dtype": "string"}, "label": {}}})
    found = facts(folder(tmp_path, train__dataset_info_dot_json=info, train__data_dot_arrow="rows"))
    assert found.features == ("text", "label") and found.rows is None


@pytest.mark.parametrize("info", ["[]", "5", "{", '{"features": 5}', '{"features": ["a"]}', "[" * 100_000])
def test_a_folder_whose_description_is_odd_has_no_known_columns(tmp_path: Path, info: str) -> None:
    assert facts(folder(tmp_path, dataset_info_dot_json=info)).features == ()


def test_a_folders_digest_follows_its_files_but_not_the_hidden_ones(tmp_path: Path) -> None:
    before = facts(folder(tmp_path, a="1")).digest
    assert facts(folder(tmp_path, _dot_hidden="x")).digest == before
    assert facts(folder(tmp_path, a="2")).digest != before


def test_a_folder_that_is_missing_empty_or_a_file_is_a_defect(tmp_path: Path) -> None:
    spec = DatasetSpec(type="project", location="saved")
    assert defect(datasets.observe(spec, tmp_path)).defect is Defect.MISSING
    (tmp_path / "saved").mkdir()
    assert defect(datasets.observe(spec, tmp_path)).defect is Defect.EMPTY
    (tmp_path / "file").write_text("x")
    assert defect(datasets.observe(DatasetSpec(type="project", location="file"), tmp_path)).defect is Defect.MISSING


def test_a_link_out_of_the_project_inside_a_folder_is_not_read(tmp_path: Path) -> None:
    root = tmp_path / "project"
    (root / "saved").mkdir(parents=True)
    (tmp_path / "secret").write_text("x")
    (root / "saved" / "data.arrow").symlink_to("../../secret")
    found = defect(datasets.observe(DatasetSpec(type="project", location="saved"), root))
    assert found.defect is Defect.OUTSIDE and "saved/data.arrow is a link that leaves the project" in found.message


# Any content


cells = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@settings(max_examples=100)
@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=5))
def test_whatever_a_csv_writer_wrote_is_read_with_all_its_rows(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    stream = io.StringIO()
    writer = csv.writer(stream, quoting=csv.QUOTE_ALL)
    writer.writerow(("first", "second"))
    writer.writerows(rows)
    found = facts(observe(tmp_path, "project_csv", stream.getvalue().encode()))
    assert (found.features, found.rows) == (("first", "second"), len(rows))


@settings(max_examples=200)
@given(st.sampled_from(sorted(ENDINGS)), st.binary(max_size=60))
def test_any_bytes_are_facts_or_a_defect(tmp_path: Path, type: str, content: bytes) -> None:
    assert isinstance(observe(tmp_path, type, content), DatasetFacts | Unusable)


# Rows


@pytest.mark.parametrize(
    ("type", "content", "row"),
    [
        ("project_csv", "\ufeffa,b\nNA,\n", {"a": "NA", "b": ""}),
        ("project_json", '[{"a": 1}]', {"a": 1}),
        ("project_json", '{"data": [{"a": 1}]}', {"a": 1}),
        ("project_jsonl", '{"a": null}\n{"a": 2}\n', {"a": None}),
    ],
)
def test_the_first_row_is_given_as_it_is_written(
    tmp_path: Path, type: str, content: str, row: dict[str, object]
) -> None:
    observe(tmp_path, type, content)
    name = f"rows{ENDINGS[type]}"
    assert next(iter(rowfiles.rows(tmp_path / name, name))) == row


def test_a_ragged_file_of_another_separator_is_said_to_have_one(tmp_path: Path) -> None:
    found = defect(observe(tmp_path, "project_csv", "text;price\nsoap;1,5\n"))
    assert found.defect is Defect.SEPARATOR and found.message.endswith("separated by semicolons")


@pytest.mark.parametrize(
    ("content", "mark"),
    [
        ("text;queue\na;b\n", "semicolons"),
        ("text\tqueue\na\tb\n", "tabs"),
        ('"text";"queue"\n"a";"b"\n', "semicolons"),
        ('"text"\t"queue"\n', "tabs"),
        ('text;"queue"\n"a";"b"\n', "semicolons"),
    ],
)
def test_another_separator_is_named_with_and_without_quotes(tmp_path: Path, content: str, mark: str) -> None:
    found = defect(observe(tmp_path, "project_csv", content))
    assert found.defect is Defect.SEPARATOR
    assert found.message.startswith("rows.csv:1: ") and found.message.endswith(f"separated by {mark}")


@pytest.mark.parametrize(
    ("location", "hint"),
    [
        ("data/ticket.csv", "did you mean 'data/tickets.csv'?"),
        ("tickts.csv", "correct the path; it is relative to the project"),
        ("dat/tickets.csv", "correct the path; it is relative to the project"),
        ("data\\tickets.csv", "write data/tickets.csv: folders are separated by /"),
        ("s3://bucket/tickets.csv", "locations are paths in the project: download it, and name the copy"),
        ("~/tickets.csv", "locations are relative to the project, ~ means nothing in them: copy it into the project"),
    ],
)
def test_a_missing_file_is_answered_with_what_to_write(tmp_path: Path, location: str, hint: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "tickets.csv").write_text("a\n1\n")
    found = defect(datasets.observe(DatasetSpec(type="project_csv", location=location), tmp_path))
    assert found.defect is Defect.MISSING and found.hint == hint


def test_no_name_outside_the_project_is_suggested(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "tickets.csv").write_text("a\n1\n")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "data").symlink_to(tmp_path / "outside")
    spec = DatasetSpec(type="project_csv", location="data/ticket.csv")
    assert "tickets" not in defect(datasets.observe(spec, tmp_path / "project")).hint


def test_quotes_that_are_never_closed_are_no_other_separator(tmp_path: Path) -> None:
    assert defect(observe(tmp_path, "project_csv", '"text,queue\na,b\n')).defect is Defect.SYNTAX


@pytest.mark.parametrize(("location", "hint"), [("rows.csv", "write type: project_csv"), ("rows.txt", "name a folder")])
def test_a_file_where_a_folder_is_wanted_is_said_to_be_one(tmp_path: Path, location: str, hint: str) -> None:
    (tmp_path / location).write_text("a\n1\n")
    found = defect(datasets.observe(DatasetSpec(type="project", location=location), tmp_path))
    assert found.message == f"{location!r} is a file, not a folder" and found.hint.startswith(hint)


@pytest.mark.parametrize(
    ("name", "kind", "text", "where"),
    [
        ("a.jsonl", "project_jsonl", '{"q": "fine", "a": "x"}\n{"q": "torn \\ud83d", "a": "x"}\n', "a.jsonl:2: 'q'"),
        ("a.json", "project_json", '[{"q": "x"}, {"q": [{"content": "\\uDE00"}]}]', "a.json: item 1: 'q'"),
    ],
)
def test_half_of_a_surrogate_pair_is_found_with_row_and_column(
    tmp_path: Path, name: str, kind: str, text: str, where: str
) -> None:
    (tmp_path / name).write_text(text)
    found = datasets.observe(DatasetSpec(type=kind, location=name), tmp_path)
    assert isinstance(found, Unusable) and found.defect is Defect.ENCODING
    assert found.message == f"{where} holds half of a surrogate pair, which is no character"


def test_both_halves_are_a_character(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"q": "\\ud83d\\ude00"}\n')
    assert isinstance(datasets.observe(DatasetSpec(type="project_jsonl", location="a.jsonl"), tmp_path), DatasetFacts)
