"""``studio schemas``, and the schemas that a new project comes with."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from studio.load.documents import parse
from studio.report.published import published
from studio.report.schemas import schemas

from .front_door import ask

NAMES = [file.removesuffix(".schema.json") for file in schemas()]


def test_without_arguments_the_schemas_are_listed_with_a_line_each(tmp_path: Path) -> None:
    answer = ask(tmp_path, "schemas")
    assert answer.code == 0 and [line.split()[0] for line in answer.out.splitlines()] == NAMES
    assert all(len(line.split()) > 3 for line in answer.out.splitlines())


@pytest.mark.parametrize("name", ["Dataset", "dataset", "manifest", "PROJECT"])
def test_one_schema_is_printed_as_it_is_published(tmp_path: Path, name: str) -> None:
    answer = ask(tmp_path, "schemas", name)
    given = {file.lower(): schema for file, schema in published().items()}
    assert answer.code == 0 and json.loads(answer.out) == given[f"{name.lower()}.schema.json"]


def test_schemas_are_written_into_a_folder(tmp_path: Path) -> None:
    assert ask(tmp_path, "schemas", "--output", "a/b").code == 0
    assert sorted(file.name for file in (tmp_path / "a" / "b").iterdir()) == sorted(schemas())
    assert ask(tmp_path, "schemas", "Model", "Prompt", "-o", "c").code == 0
    assert [file.name for file in sorted((tmp_path / "c").iterdir())] == ["Model.schema.json", "Prompt.schema.json"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["Datset"], 64, "did you mean 'Dataset'?"),
        (["Model", "Prompt"], 64, "add --output FOLDER"),
        (["Model", "-o", "file"], 64, "is a file"),
        (["Model", "-o", "file/below"], 1, "cannot be written"),
    ],
)
def test_a_wrong_request_says_what_to_do(tmp_path: Path, arguments: list[str], code: int, words: str) -> None:
    (tmp_path / "file").touch()
    answer = ask(tmp_path, "schemas", *arguments)
    assert answer.code == code and words in answer.err and answer.out == ""


@pytest.mark.parametrize("file", ["studio.yaml", "manifests/questions.yaml"])
def test_a_new_project_leads_editors_to_schemas_that_its_files_fit(tmp_path: Path, file: str) -> None:
    assert ask(tmp_path, "init").code == 0
    text = (tmp_path / file).read_text("utf-8")
    found = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    assert found
    schema = json.loads((tmp_path / file).parent.joinpath(found.group(1)).read_text("utf-8"))
    for document in parse(text):
        assert list(Draft202012Validator(schema).iter_errors(document)) == []


def test_the_schemas_of_a_new_project_are_those_that_the_command_writes_anew(tmp_path: Path) -> None:
    assert ask(tmp_path, "init").code == 0
    before = {file: file.read_bytes() for file in (tmp_path / "schemas").iterdir()}
    assert ask(tmp_path, "schemas", "manifest", "Project", "--output", "schemas").code == 0
    assert {file: file.read_bytes() for file in (tmp_path / "schemas").iterdir()} == before
