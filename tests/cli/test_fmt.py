"""``studio fmt``: which files it touches, what it says, and that it never loses anything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.projects import ROOT, SETTINGS, snapshot

from .front_door import Answer, ask, environment

UNTIDY = "apiVersion:   studio/v1\nkind: Dataset   \nmetadata: { name: tickets }\nspec:\n    type: project_csv # c\n"
TIDY = "apiVersion: studio/v1\nkind: Dataset\nmetadata: {name: tickets}\nspec:\n  type: project_csv  # c\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with an untidy manifest and a tidy one."""
    folder = tmp_path / "desk"
    (folder / "manifests" / "deep").mkdir(parents=True)
    (folder / "studio.yaml").write_text(SETTINGS)
    (folder / "manifests" / "a.yaml").write_text(UNTIDY)
    (folder / "manifests" / "deep" / "b.yml").write_text(TIDY)
    return folder


def pipe(content: bytes, *arguments: str) -> Answer:
    command = [sys.executable, "-m", "studio", "fmt", "-", *arguments]
    done = subprocess.run(command, input=content, env=environment(), capture_output=True, timeout=60)
    return Answer(done.returncode, done.stdout.decode(), done.stderr.decode())


def test_everything_is_formatted_once_and_then_left_alone(root: Path) -> None:
    first = ask(root / "manifests", "fmt")
    assert (first.code, first.out) == (0, "formatted manifests/a.yaml\n1 file formatted, 2 in canonical form.\n")
    assert (root / "manifests" / "a.yaml").read_text() == TIDY
    before = snapshot(root)
    assert ask(root, "fmt").out == "3 in canonical form.\n"
    assert snapshot(root) == before


def test_check_lists_what_would_change_and_writes_nothing(root: Path) -> None:
    before = snapshot(root)
    answer = ask(root, "fmt", "--check")
    assert (answer.code, answer.out) == (
        1,
        "would format manifests/a.yaml\n1 file would change, 2 in canonical form.\n",
    )
    assert snapshot(root) == before
    assert ask(root, "fmt", "--check", "manifests/deep").code == 0


def test_diff_prints_what_would_change_without_secrets_and_writes_nothing(root: Path) -> None:
    (root / "manifests" / "a.yaml").write_text("a:  hf_abcdefghijklmnopqrstuvwx\nb: 1\x1b\n".replace("\x1b", ""))
    before = snapshot(root)
    answer = ask(root, "fmt", "--diff")
    assert answer.code == 0
    assert "--- a/manifests/a.yaml\n+++ b/manifests/a.yaml\n@@ -1,3 +1,3 @@\n-a:  ***\n+a: ***\n" in answer.out
    assert "1 file would change" in answer.err
    assert snapshot(root) == before
    assert ask(root, "fmt", "--diff", "--check").code == 1


def test_broken_files_are_reported_with_their_place_and_the_rest_is_formatted(root: Path) -> None:
    (root / "manifests" / "0.yaml").write_text("a: [1\nb: 2\n")
    (root / "manifests" / "1.yaml").write_bytes(b"\xff\xfe")
    (root / "manifests" / "2.yaml").write_text("a: 1\na: 2\n")
    answer = ask(root, "fmt")
    assert answer.code == 1
    assert "error: manifests/0.yaml:2:2: " in answer.err
    assert "error: manifests/1.yaml: not UTF-8 text (byte 0)" in answer.err
    assert "error: manifests/2.yaml:2:1: the key 'a' appears twice" in answer.err
    assert answer.out == "formatted manifests/a.yaml\n1 file formatted, 2 in canonical form, 3 left as they are.\n"
    assert (root / "manifests" / "a.yaml").read_text() == TIDY


def test_a_file_too_large_for_a_manifest_is_left_alone(root: Path) -> None:
    (root / "manifests" / "a.yaml").write_bytes(b"a:  1\n" + b"#" * (8 << 20))
    answer = ask(root, "fmt")
    assert answer.code == 1 and "manifests/a.yaml: the file is too large for a manifest" in answer.err


def test_settings_that_are_broken_do_not_stop_the_manifests_from_being_formatted(root: Path) -> None:
    (root / "studio.yaml").write_text("spec: [\n")
    answer = ask(root, "fmt")
    assert answer.code == 1 and "error: studio.yaml:2:1" in answer.err
    assert (root / "manifests" / "a.yaml").read_text() == TIDY


def test_byte_order_marks_and_windows_line_breaks_go_and_the_mode_stays(root: Path) -> None:
    file = root / "manifests" / "deep" / "b.yml"
    file.write_bytes(b"\xef\xbb\xbf" + TIDY.replace("\n", "\r\n").encode())
    file.chmod(0o640)
    assert ask(root, "fmt").code == 0
    assert file.read_bytes() == TIDY.encode()
    assert file.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in file.parent.iterdir()) == ["b.yml"]


def test_files_and_folders_may_be_named_from_where_one_stands(root: Path) -> None:
    assert ask(root / "manifests", "fmt", "deep").out == "1 in canonical form.\n"
    assert ask(root / "manifests" / "deep", "fmt", "../a.yaml", str(root / "studio.yaml")).code == 0
    assert (root / "manifests" / "a.yaml").read_text() == TIDY


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("../elsewhere.yaml", "'../elsewhere.yaml' is outside the project"),
        ("/etc/passwd", "'/etc/passwd' is outside the project"),
        ("link.yaml", "'link.yaml' is outside the project"),
        ("none.yaml", "there is no file 'none.yaml'"),
        ("data.csv", "'data.csv' is not a manifest"),
        ("data", "the folder 'data' holds no manifest"),
        ("a\0b", "is outside the project"),
    ],
)
def test_a_path_that_cannot_be_formatted_stops_everything_with_its_reason(root: Path, path: str, words: str) -> None:
    (root.parent / "elsewhere.yaml").write_text("a:  1\n")
    (root / "link.yaml").symlink_to(root.parent / "elsewhere.yaml")
    (root / "data.csv").write_text("a\n")
    (root / "data").mkdir()
    before = snapshot(root.parent)
    answer = ask(root, "fmt", "manifests", path)
    assert answer.code == 64 and words in answer.err
    assert snapshot(root.parent) == before


def test_a_link_that_leaves_the_project_is_reported_and_one_inside_it_stays_a_link(root: Path) -> None:
    (root.parent / "elsewhere.yaml").write_text("a:  1\n")
    (root / "manifests" / "out.yaml").symlink_to(root.parent / "elsewhere.yaml")
    (root / "manifests" / "0.yaml").symlink_to("a.yaml")
    answer = ask(root, "fmt")
    assert answer.code == 1 and "manifests/out.yaml: the file is a link that leaves the project" in answer.err
    assert (root.parent / "elsewhere.yaml").read_text() == "a:  1\n"
    assert (root / "manifests" / "0.yaml").is_symlink() and (root / "manifests" / "a.yaml").read_text() == TIDY


def test_pipes_are_left_alone(root: Path) -> None:
    os.mkfifo(root / "manifests" / "p.yaml")
    answer = ask(root, "fmt")
    assert answer.code == 1 and "manifests/p.yaml: not a regular file" in answer.err


def test_outside_a_project_there_is_nothing_to_format(tmp_path: Path) -> None:
    answer = ask(tmp_path, "fmt")
    assert answer.code == 64 and "no studio.yaml" in answer.err


def test_standard_input_goes_to_standard_output() -> None:
    assert pipe(UNTIDY.encode()) == Answer(0, TIDY, "")
    assert pipe(b"\xef\xbb\xbf" + TIDY.encode()) == Answer(0, TIDY, "")
    assert pipe(b"a:  \xc3\xa9\r\n") == Answer(0, "a: é\n", "")


def test_standard_input_that_is_broken_prints_nothing_on_standard_output() -> None:
    answer = pipe(b"a: [1\n")
    assert (answer.code, answer.out) == (1, "") and "error: <stdin>:2:1: " in answer.err
    answer = pipe(b"\xff")
    assert (answer.code, answer.out) == (64, "") and "standard input is not UTF-8" in answer.err


def test_standard_input_can_be_checked() -> None:
    assert pipe(UNTIDY.encode(), "--check") == Answer(1, "would format <stdin>\n", "")
    assert pipe(TIDY.encode(), "--check") == Answer(0, "", "")
    assert pipe(TIDY.encode(), "manifests").code == 64


def test_the_examples_are_canonical() -> None:
    for project in sorted(path.parent for path in (ROOT / "examples").glob("*/studio.yaml")):
        answer = ask(project, "fmt", "--check", "--diff")
        assert answer.code == 0, answer.out + answer.err
