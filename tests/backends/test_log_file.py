"""Logs that grow, are cut, replaced, huge, or not there yet."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.backends import log_file
from studio.backends.log_file import LogFile

TEXT = st.text(alphabet="aé\n\r\U0001f600", max_size=60)


def test_each_reading_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "log.txt")
    assert list(log.lines()) == []
    log.path.write_text("one\ntw")
    assert list(log.lines(unfinished=False)) == ["one\n"]
    with log.path.open("a") as stream:
        stream.write("o\nthree")
    assert list(log.lines(unfinished=False)) == ["two\n"]
    assert list(log.lines()) == ["three"] and list(log.lines()) == []


def test_a_progress_bar_is_lines(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "log.txt")
    log.path.write_bytes(b"10%\r20%\rdone\r\nbye\n")
    assert list(log.lines()) == ["10%\n", "20%\n", "done\n", "bye\n"]


@pytest.mark.parametrize("how", ["cut", "replaced"])
def test_a_log_that_is_cut_or_replaced_is_read_from_its_beginning(tmp_path: Path, how: str) -> None:
    log = LogFile(tmp_path / "log.txt")
    log.path.write_text("a long first line\n")
    assert len(list(log.lines())) == 1
    if how == "replaced":
        (tmp_path / "new").write_text("an even longer line than that\n")
        (tmp_path / "new").replace(log.path)
    else:
        log.path.write_text("new\n")
    assert len(list(log.lines())) == 1


@pytest.mark.parametrize(("last", "expected"), [(1, ["c\n"]), (2, ["b\n", "c\n"]), (9, ["a\n", "b\n", "c\n"])])
def test_the_last_lines_come_without_reading_the_others(tmp_path: Path, last: int, expected: list[str]) -> None:
    log = LogFile(tmp_path / "log.txt")
    log.path.write_text("a\nb\nc\n")
    log.skip(last)
    assert list(log.lines()) == expected


def test_the_last_line_counts_though_it_has_no_end(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "log.txt")
    log.path.write_text("a\nb\nc")
    log.skip(2)
    assert list(log.lines()) == ["b\n", "c"]


@pytest.mark.slow
def test_a_huge_log_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(b"x" * 99 + b"\n" + b"0123456789 0123456789\n" * 1_000_000)
    tracemalloc.start()
    log = LogFile(path)
    log.skip(10)
    tail = list(log.lines())
    count = sum(1 for _ in LogFile(path).lines())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(tail) == 10 and count == 1_000_001
    assert peak < 3_000_000


@given(parts=st.lists(TEXT, max_size=5), last=st.integers(1, 9), block=st.integers(1, 7))
def test_whatever_is_written_in_whatever_pieces_is_read_once(
    tmp_path: Path, parts: list[str], last: int, block: int
) -> None:
    path = tmp_path / "log.txt"
    path.unlink(missing_ok=True)
    whole = "".join(parts).encode()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(log_file, "BLOCK_BYTES", block)
        log, read = LogFile(path), ""
        for part in parts:
            with path.open("ab") as stream:
                stream.write(part.encode())
            read += "".join(log.lines(unfinished=False))
        read += "".join(log.lines())
        assert read == whole.decode().replace("\r\n", "\n").replace("\r", "\n")
        tail = LogFile(path)
        tail.skip(last)
        lines = read.splitlines(keepends=True) if "\n" in read else [read] if read else []
        assert "".join(tail.lines()) == "".join(lines[-last:])
