"""Exit codes: every way a command can end, in one place."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from studio.cli import errors
from studio.core.errors import (
    BackendError,
    JobError,
    LeaseLostError,
    StalePlanError,
    StateLockedError,
    StudioError,
    UsageError,
)
from studio.core.findings import Position

from .front_door import ask, inside


def raising(error: BaseException) -> Callable[[], object]:
    def command() -> object:
        raise error

    return command


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (lambda: None, 0),
        (lambda: 0, 0),
        (lambda: "text", 0),
        (lambda: errors.Exit.CHANGES, 2),
        (raising(StudioError("m")), 1),
        (raising(BackendError("m")), 1),
        (raising(JobError("m")), 1),
        (raising(LeaseLostError("m")), 3),
        (raising(StateLockedError("m")), 3),
        (raising(StalePlanError("m")), 4),
        (raising(UsageError("m")), 64),
        (raising(click.UsageError("m")), 64),
        (raising(click.BadParameter("m")), 64),
        (raising(click.exceptions.Exit(0)), 0),
        (raising(KeyboardInterrupt()), 130),
        (raising(click.Abort()), 130),
    ],
)
def test_a_command_ends_with_the_code_of_its_end(
    command: Callable[[], object], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert errors.run(command) == code
    assert "Traceback" not in capsys.readouterr().err


def test_an_error_says_where_what_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    errors.run(raising(StudioError("it is wrong", "mend it", Position("a.yaml", 3, 7))))
    assert capsys.readouterr().err == "error: a.yaml:3:7: it is wrong\n  mend it\n"


def test_an_error_s_words_command_neither_a_terminal_nor_a_runner(capsys: pytest.CaptureFixture[str]) -> None:
    errors.run(raising(StudioError("no 'a'", "known: \x1b[31mb\n::add-mask::c", Position("d\n::e", 3, 7))))
    assert capsys.readouterr().err == "error: d\\n::e:3:7: no 'a'\n  known: \\x1b[31mb\\n::add-mask::c\n"


def test_a_bug_writes_a_report_and_shows_no_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".studio").mkdir()
    with inside(tmp_path):
        assert errors.run(lambda: 1 // 0) == 70
    shown = capsys.readouterr().err
    [report] = (tmp_path / ".studio").iterdir()
    assert "Traceback" not in shown and "ZeroDivisionError" not in shown
    assert str(report.relative_to(tmp_path)) in shown and "a bug of its own" in shown
    assert "ZeroDivisionError" in report.read_text() and "arguments:" in report.read_text()


def test_outside_a_project_the_report_of_a_bug_goes_to_the_temporary_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with inside(tmp_path):
        assert errors.run(lambda: 1 // 0) == 70
    [report] = [Path(word) for word in capsys.readouterr().err.split() if word.endswith(".txt")]
    assert "ZeroDivisionError" in report.read_text() and list(tmp_path.iterdir()) == []
    report.unlink()


TOKEN = "hf_" + "aB3" * 12


def test_the_report_of_a_bug_holds_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".studio").mkdir()
    monkeypatch.setattr(sys, "argv", ["studio", "plan", TOKEN])
    with inside(tmp_path):
        errors.run(raising(RuntimeError(f"refused {TOKEN}")))
    [report] = (tmp_path / ".studio").iterdir()
    assert "refused" in report.read_text() and TOKEN not in report.read_text()


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["plan", "--nonsense"],
        ["plan", "-C", "nowhere"],
        ["plan", "--env", "nowhere"],
        ["validate", "--format", "xml"],
        ["apply", "--parallelism", "0"],
        ["show"],
        ["show", "a", "b"],
        ["show", "nobody"],
        ["logs"],
        ["logs", "nobody"],
        ["init", "."],
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_ends_with_64_and_says_so_on_stderr(data_only: Path, arguments: list[str]) -> None:
    answer = ask(data_only, *arguments)
    assert answer.code == 64 and answer.out == "" and answer.err
    assert "Traceback" not in answer.err
