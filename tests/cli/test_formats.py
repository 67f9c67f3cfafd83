"""``studio validate`` for machines: formats, files, and where in the repository a finding is."""

from __future__ import annotations

import json
import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

from studio.report.formats import FORMATS
from tests import projects

from .front_door import ask, run


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A project in a folder of its repository, with one error and one warning."""
    (tmp_path / "repository" / ".git").mkdir(parents=True)
    spec = {"type": "huggingface", "huggingface_name": "owner/name"}
    documents = [projects.manifest("Dataset", "hub", spec), projects.manifest("Dataset", "odd", {"type": "odd"})]
    return projects.write(tmp_path / "repository" / "desk", documents)


@pytest.mark.parametrize("form", FORMATS)
def test_a_format_goes_to_standard_output_and_findings_decide_the_exit_code(
    broken: Path, data_only: Path, form: str
) -> None:
    answer = ask(broken, "validate", "--format", form)
    assert answer.code == 1 and "DS-001" in answer.out and answer.err == ""
    assert ask(data_only, "validate", "--format", form).code == 0


@pytest.mark.parametrize("form", FORMATS)
def test_a_format_goes_to_a_file_and_the_log_stays_readable(broken: Path, tmp_path: Path, form: str) -> None:
    printed = ask(broken, "validate", "--format", form).out
    answer = ask(broken, "validate", "--format", form, "--output", str(tmp_path / "report"))
    assert answer.code == 1 and answer.out == ask(broken, "validate").out
    assert (tmp_path / "report").read_text("utf-8") == printed
    assert sorted(file.name for file in tmp_path.iterdir()) == ["report", "repository"]


def test_json_has_a_short_form_as_in_other_commands(broken: Path) -> None:
    assert ask(broken, "validate", "--json") == ask(broken, "validate", "--format", "json")
    assert ask(broken, "validate", "--json", "--format", "json").code == 1
    answer = ask(broken, "validate", "--json", "--format", "sarif")
    assert answer.code == 64 and "exclude each other" in answer.err


def test_annotations_and_results_name_files_from_the_root_of_the_repository(broken: Path) -> None:
    command = ask(broken, "validate", "--format", "github").out.splitlines()[0]
    assert command.startswith("::error file=desk/manifests/all.yaml,line=")
    log = json.loads(ask(broken, "validate", "--format", "sarif").out)
    place = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "desk/manifests/all.yaml"
    suites = ElementTree.fromstring(ask(broken, "validate", "--format", "junit").out)
    assert [suite.get("name") for suite in suites] == ["desk/manifests/all.yaml"]


def test_a_workflow_says_where_its_repository_is(broken: Path, tmp_path: Path) -> None:
    (broken.parent / ".git").rmdir()
    answer = run(broken, "validate", "--format", "github", GITHUB_WORKSPACE=str(tmp_path))
    assert "file=repository/desk/manifests/all.yaml" in answer.out


@pytest.mark.parametrize(
    ("place", "code", "words"),
    [
        ("data", 64, "is a directory"),
        ("studio.yaml/report", 64, "studio.yaml is not a folder"),
        ("n" * 300, 1, "too long"),
    ],
)
def test_a_file_that_cannot_be_written_is_explained(broken: Path, place: str, code: int, words: str) -> None:
    answer = ask(broken, "validate", "--format", "sarif", "--output", place)
    assert answer.code == code and words in answer.err and answer.out == ""


def test_a_report_replaces_the_one_before_through_a_link_and_never_a_device(broken: Path, tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    assert ask(broken, "validate", "--json", "-o", str(tmp_path / "link")).code == 1
    assert json.loads((tmp_path / "real").read_text("utf-8"))["findings"]
    assert (tmp_path / "link").is_symlink()
    assert ask(broken, "validate", "--json", "-o", os.devnull).code == 1
    assert Path(os.devnull).is_char_device()


def test_a_hyphen_is_standard_output(broken: Path) -> None:
    assert ask(broken, "validate", "--json", "-o", "-") == ask(broken, "validate", "--json")
    assert not (broken / "-").exists()


def test_a_file_has_no_colours(broken: Path, tmp_path: Path) -> None:
    assert ask(broken, "validate", "-o", str(tmp_path / "report")).code == 1
    assert "\x1b" not in (tmp_path / "report").read_text("utf-8")


def test_a_file_whose_name_is_not_text_is_reported_in_every_format(data_only: Path) -> None:
    with open(os.fsencode(data_only / "manifests") + b"/\xff.yaml", "wb") as stream:
        stream.write(b"kind: Nonsense\n")
    for form in FORMATS:
        answer = run(data_only, "validate", "--format", form)
        assert answer.code == 1 and "bug" not in answer.err and "MF-005" in answer.out, (form, answer.err)
