"""Which files are manifests, and what lies inside a project."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.load import files
from studio.load.problems import Problem


@pytest.fixture
def root(tmp_path: Path) -> Path:
    project = tmp_path / "project"
    (project / "a" / "b").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    for name in ("a/one.yaml", "a/b/two.yml", "a/three.json", "top.yaml"):
        (project / name).write_text("x: 1\n")
    return project


def test_files_are_found_once_in_sorted_order_whatever_the_folders(root: Path) -> None:
    found = files.find(root, ["a", "top.yaml", "a/b", "."])
    assert found == (["a/b/two.yml", "a/one.yaml", "top.yaml"], [])


def test_a_folder_that_vanishes_while_it_is_walked_is_a_problem(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listing = os.scandir

    def vanishing(path: str) -> Iterator[os.DirEntry[str]]:
        if path.endswith("/a/b"):
            Path(path).rename(root / "gone")
        return listing(path)

    monkeypatch.setattr(os, "scandir", vanishing)
    names, closed = files.find(root, ["a"])
    assert names == ["a/one.yaml"]
    assert [each.message for each in closed] == ["the manifest folder 'a/b' cannot be read: No such file or directory"]


def test_a_linked_folder_is_not_followed(root: Path) -> None:
    (root / "outside").mkdir()
    (root / "outside" / "x.yaml").write_text("x: 1\n")
    (root / "a" / "link").symlink_to("../outside")
    assert "a/link/x.yaml" not in files.find(root, ["a"])[0]


@pytest.mark.parametrize(
    ("location", "inside"),
    [
        ("a/one.yaml", True),
        ("a/../top.yaml", True),
        (".", True),
        ("nowhere/yet", True),
        ("..", False),
        ("a/../../project/a", True),
        ("../outside", False),
        ("/etc/passwd", False),
        ("out", False),
        ("a\0b", False),
        ("\ud800", False),
    ],
)
def test_what_is_inside_is_told_after_links_are_followed(root: Path, location: str, inside: bool) -> None:
    (root / "out").symlink_to("../outside")
    assert (files.inside(root, location) is not None) is inside


def test_a_root_that_is_itself_a_link_is_no_way_out(root: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(root)
    assert files.inside(tmp_path / "alias", "a/one.yaml") == root / "a" / "one.yaml"


def test_a_folder_in_place_of_a_file_is_a_problem_not_an_error(root: Path) -> None:
    found = files.read_text(root, "a")
    assert isinstance(found, Problem) and "cannot be read" in found.message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_the_right_to_read_is_a_problem(root: Path) -> None:
    (root / "top.yaml").chmod(0)
    found = files.read_text(root, "top.yaml")
    assert isinstance(found, Problem) and "Permission denied" in found.message
