"""Looking at a state changes nothing: not a byte of the file, not a file beside it, whoever writes to it meanwhile."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from studio.core.errors import StudioError
from studio.core.references import Ref
from studio.state import glance
from studio.state.base import Record, RecordStatus
from studio.state.sql import SqlState, open_engine, open_reader
from tests.cli.front_door import ask
from tests.cli.states import URL, writing
from tests.state.players import WRITER, Player

FIRST, SECOND = Ref("Dataset", "first"), Ref("Dataset", "second")
COMMANDS = (["plan"], ["status"], ["validate"], ["history"], ["state", "list"], ["doctor"])


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(file.relative_to(folder)): (file.read_bytes(), file.stat().st_mtime_ns)
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


@contextmanager
def untouched(folder: Path) -> Iterator[None]:
    before = contents(folder)
    yield
    after = contents(folder)
    assert after.keys() == before.keys() and [name for name in after if after[name] != before[name]] == []


def seen(root: Path) -> list[Ref]:
    reader = open_reader(URL, root, "default")
    assert isinstance(reader, SqlState)
    return list(reader.records())


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A state that nobody has open."""
    with writing(tmp_path) as state:
        state.save_record(Record(FIRST, "uid", {}, {}, "f" * 64, {}, RecordStatus.READY))
    return tmp_path


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Player]:
    found = Player(WRITER, URL, tmp_path, "60")
    assert found.word() == "written"
    yield found
    found.kill()


def test_a_state_that_nobody_has_open_is_read_without_a_trace(written: Path) -> None:
    assert [file.name for file in (written / ".studio").iterdir()] == ["state.db"]
    with untouched(written):
        assert seen(written) == [FIRST]


def test_no_command_that_only_looks_leaves_a_trace_in_a_project(data_only: Path) -> None:
    assert ask(data_only, "apply", "--yes").code == 0
    with untouched(data_only):
        for command in COMMANDS:
            assert ask(data_only, *command).code == 0, command


def test_beside_a_live_writer_what_is_committed_is_read_without_a_trace(writer: Player, tmp_path: Path) -> None:
    with untouched(tmp_path):
        assert seen(tmp_path) == [FIRST]
    writer.go_on()
    assert writer.word() == "writing"
    with untouched(tmp_path):
        assert seen(tmp_path) == [FIRST]
    writer.go_on()
    assert writer.word() == "committed"
    with untouched(tmp_path):
        assert seen(tmp_path) == [FIRST, SECOND]
    writer.go_on()
    assert writer.end() == ""
    with untouched(tmp_path):
        assert seen(tmp_path) == [FIRST, SECOND]


@pytest.mark.parametrize("gone", ["", "-shm"], ids=["with its index", "without its index"])
def test_the_log_of_a_killed_writer_is_read_and_left_to_the_next_one(writer: Player, tmp_path: Path, gone: str) -> None:
    writer.go_on()
    assert writer.word() == "writing"
    writer.kill()
    if gone:
        (tmp_path / ".studio" / f"state.db{gone}").unlink()
    assert (tmp_path / ".studio" / "state.db-wal").stat().st_size > 0
    with untouched(tmp_path):
        assert seen(tmp_path) == [FIRST]
    with writing(tmp_path) as state:
        assert list(state.records()) == [FIRST]
    assert [file.name for file in (tmp_path / ".studio").iterdir()] == ["state.db"]


@pytest.mark.parametrize(("length", "found"), [(32, [FIRST]), (None, [FIRST, SECOND])], ids=["header", "with a commit"])
def test_a_writer_may_be_killed_before_the_index_knows_of_its_log(
    written: Path, tmp_path_factory: pytest.TempPathFactory, length: int | None, found: list[Ref]
) -> None:
    folder, kept = written / ".studio", tmp_path_factory.mktemp("kept")
    other = sqlite3.connect(folder / "state.db")
    other.execute("SELECT count(*) FROM resources").fetchone()  # opens log and index, and so keeps them there
    shutil.copy(folder / "state.db-shm", kept)
    with writing(written) as state:
        state.save_record(Record(SECOND, "uid2", {}, {}, "f" * 64, {}, RecordStatus.READY))
    shutil.copy(folder / "state.db", kept)
    (kept / "state.db-wal").write_bytes((folder / "state.db-wal").read_bytes()[:length])
    other.close()
    for file in kept.iterdir():
        shutil.copy(file, folder)
    with untouched(written):
        assert seen(written) == found
    with writing(written) as state:
        assert list(state.records()) == found


def test_a_copy_is_read_outside_the_project_and_goes_afterwards(
    writer: Player, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.kill()
    (tmp_path / ".studio" / "state.db-shm").unlink()
    monkeypatch.setattr(tempfile, "tempdir", str(elsewhere := tmp_path_factory.mktemp("elsewhere")))
    assert seen(tmp_path) == [FIRST]
    assert list(elsewhere.iterdir()) == []


def test_a_file_that_changes_while_it_is_read_is_read_again(written: Path) -> None:
    reader = open_reader(URL, written, "default")
    assert isinstance(reader, SqlState)
    looks: list[list[str]] = []

    def look(connection: Any) -> list[str]:
        names = [row[0] for row in connection.exec_driver_sql("SELECT name FROM resources ORDER BY name")]
        looks.append(names)
        if len(looks) == 1:
            with writing(written) as state:
                state.save_record(Record(SECOND, "uid", {}, {}, "f" * 64, {}, RecordStatus.READY))
        return names

    assert glance.steadily(reader.engine, look) == ["first", "second"]
    assert looks[0] == ["first"]


def test_what_fails_because_the_file_changed_is_tried_again_and_what_fails_for_itself_is_not(written: Path) -> None:
    reader = open_reader(URL, written, "default")
    assert isinstance(reader, SqlState)
    tries = []

    def look(connection: Any) -> Any:
        tries.append(1)
        if len(tries) == 1:
            os.utime(written / ".studio" / "state.db", (1, 1))
        return connection.exec_driver_sql("SELECT * FROM nowhere").all()

    with pytest.raises(Exception, match="no such table: nowhere"):
        glance.steadily(reader.engine, look)
    assert len(tries) == 2


def test_a_state_whose_log_is_one_to_roll_back_is_read_without_a_trace_too(written: Path) -> None:
    with sqlite3.connect(written / ".studio" / "state.db") as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    connection.close()
    with untouched(written):
        assert seen(written) == [FIRST]


def test_a_folder_may_have_any_name(written: Path) -> None:
    root = written / "100% #1 & more?mode=rwc"
    shutil.copytree(written / ".studio", root / ".studio")
    with untouched(written):
        assert seen(root) == [FIRST]


def test_a_link_to_a_state_is_followed(written: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / ".studio").symlink_to(written / ".studio")
    with untouched(tmp_path):
        assert seen(tmp_path / "other") == [FIRST]


@pytest.fixture
def locked_folder(written: Path) -> Iterator[Path]:
    """A project in which this process may only read."""
    folder = Path(tempfile.mkdtemp())  # nobody else may enter pytest's own
    shutil.copytree(written / ".studio", folder / ".studio")
    for each in (folder / ".studio" / "state.db", folder / ".studio", folder):
        each.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    yield folder
    if root:
        os.seteuid(0)
    for each in (folder, folder / ".studio"):
        each.chmod(0o755)
    shutil.rmtree(folder)


def test_a_state_in_a_folder_that_can_only_be_read_is_read_and_not_written(locked_folder: Path) -> None:
    with untouched(locked_folder):
        assert seen(locked_folder) == [FIRST]
        with pytest.raises(StudioError) as error:
            open_engine(URL, locked_folder)
    assert "state.db" in error.value.message and "rights" in error.value.hint
