"""Logs and files of a workspace, through its API of whole files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.backends.workspace import log
from studio.backends.workspace.files import Entry, Files
from studio.backends.workspace.log import LARGEST_BYTES, WorkspaceLog
from studio.core.errors import BackendError
from tests.backends.workspace.scene import Scene, scene
from tests.fakes.http import as_json

FOLDER = ".studio/runs/k"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Scene]:
    with scene(tmp_path / "project") as running:
        yield running


@pytest.fixture
def files(world: Scene) -> Files:
    return Files(world.calls())


def opened(world: Scene, files: Files, parts: int = 1) -> WorkspaceLog:
    return log.opened(files, lambda: world.now, FOLDER, parts)


def grow(world: Scene, text: str, part: int = 0) -> None:
    path = world.folder / log.path(FOLDER, part)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as stream:
        stream.write(text)


def test_a_log_is_read_on_as_it_grows_and_no_line_twice(world: Scene, files: Files) -> None:
    found = opened(world, files)
    assert list(found.lines()) == []
    grow(world, "one\ntw")
    world.now += 60
    assert list(found.lines(unfinished=False)) == ["one\n"]
    grow(world, "o\nthree\n")
    assert list(found.lines(unfinished=False)) == [], "it is not fetched again at once"
    world.now += 60
    assert list(found.lines(unfinished=False)) == ["two\n", "three\n"]


def test_a_log_that_did_not_grow_is_not_fetched_and_a_large_one_seldom(world: Scene, files: Files) -> None:
    grow(world, "x" * 99 + "\n")
    found = opened(world, files)
    list(found.lines())
    world.counts()
    for _ in range(10):
        world.now += 10
        list(found.lines())
    assert world.counts()["download_project_file"] == 0
    grow(world, ("y" * 99 + "\n") * 200_000)
    world.now += 10
    assert len(list(found.lines())) == 200_000
    grow(world, "z\n")
    world.now += 10
    assert list(found.lines()) == [], "20 MB are not fetched every ten seconds"
    world.now += 10
    assert list(found.lines()) == ["z\n"]


def test_the_last_lines_alone(world: Scene, files: Files) -> None:
    grow(world, "".join(f"line {number}\n" for number in range(5000)))
    found = opened(world, files)
    found.skip(2)
    assert list(found.lines()) == ["line 4998\n", "line 4999\n"]


def test_parts_are_shown_one_after_the_other_with_headings(world: Scene, files: Files) -> None:
    for part in (1, 2):
        grow(world, f"first of {part}\nlast of {part}\n", part)
    found = opened(world, files, parts=2)
    assert "".join(found.lines()) == (
        "── part 1 of 2 ──\nfirst of 1\nlast of 1\n── part 2 of 2 ──\nfirst of 2\nlast of 2\n"
    )
    grow(world, "more of 2\n", 2)
    world.now += 60
    assert "".join(found.lines()) == "more of 2\n"
    grow(world, "more of 1\n", 1)
    world.now += 60
    assert "".join(found.lines()) == "── part 1 of 2 ──\nmore of 1\n"
    last = opened(world, files, parts=2)
    last.skip(1)
    assert "".join(last.lines()) == "── part 1 of 2 ──\nmore of 1\n── part 2 of 2 ──\nmore of 2\n"


def test_a_log_that_another_attempt_began_anew_is_read_from_its_beginning(world: Scene, files: Files) -> None:
    grow(world, "old\nolder\n")
    found = opened(world, files)
    list(found.lines())
    (world.folder / log.path(FOLDER)).write_text("new\n")
    world.now += 60
    assert list(found.lines()) == ["new\n"]


def test_a_log_beyond_all_bounds_is_left_in_the_workspace(world: Scene, files: Files) -> None:
    path = world.folder / log.path(FOLDER)
    path.parent.mkdir(parents=True)
    with path.open("wb") as stream:
        stream.truncate(LARGEST_BYTES + 1)
    with pytest.raises(BackendError, match="256 MiB") as caught:
        list(opened(world, files).lines())
    assert "in the workspace" in caught.value.hint and world.counts()["download_project_file"] == 0


def test_a_file_is_read_no_further_than_asked_for(world: Scene, files: Files) -> None:
    world.write("large", b"a" * 3_000_000)
    assert files.read("large", 5) == b"aaaaa" and files.find("large") == Entry(3_000_000)
    assert len(files.read("large", 9_000_000)) == 3_000_000


def test_a_transfer_that_was_interrupted_leaves_nothing_twice(world: Scene, files: Files) -> None:
    world.write("a", b"abcdef")
    world.cml.first.append(as_json({"error": "away"}, 503))
    target = world.folder.parent / "copy"
    target.write_bytes(b"abXXXXXXXXX")
    with target.open("r+b") as stream:
        files.copy("a", stream, 2)
    assert target.read_bytes() == b"abcdef"


def test_deleting_is_no_fault_when_nothing_is_there(world: Scene, files: Files) -> None:
    world.write(".studio/runs/k/deep/a", b"1")
    assert files.delete(FOLDER) and not (world.folder / FOLDER).exists()
    assert not files.delete(FOLDER) and not files.delete("no/such/folder/at/all")
    assert {call.status for call in world.cml.calls} == {200}
    assert files.within(FOLDER) == {}


def test_a_folder_that_went_while_nobody_looked_is_empty_and_found_again(world: Scene, files: Files) -> None:
    world.write("a/b/c", b"1")
    assert list(files.within("a/b")) == ["c"]
    (world.folder / "a" / "b" / "c").unlink()
    (world.folder / "a" / "b").rmdir()
    assert files.within("a/b") == {}
    world.write("a/b/d", b"1")
    assert list(files.within("a/b")) == ["d"]
