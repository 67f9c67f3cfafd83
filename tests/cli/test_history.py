"""Who did what: operations and runs, as they were noted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from studio.core.references import Ref
from studio.state.base import Operation, Run, RunStatus
from tests import projects

from .front_door import ask, environment
from .states import writing

TRAIN = Ref("FineTuningJob", "train")


def operation(id: str, minute: int, **values: object) -> Operation:
    made = {"command": "apply", "actor": "ada", "commit": "c0ffee" * 6 + "abcd", "outcome": "succeeded", **values}
    begun, ended = f"2026-11-21T10:{minute:02}:00Z", f"2026-11-21T10:{minute + 1:02}:05Z" if made["outcome"] else ""
    return Operation(id, "default", started_at=begun, finished_at=ended, **made)  # type: ignore[arg-type]


@pytest.fixture
def past(desk: Path) -> Path:
    with writing(desk) as state:
        for each in (
            operation("1", 1, summary={"Dataset/tickets": "done", "Model/tiny": "done", str(TRAIN): "failed"},
                      outcome="failed", plan="f00d" * 16),
            operation("2", 3, command="state mv", summary={"Dataset/tickets": "moved to Dataset/tix"}, actor="bob"),
            operation("3", 5, outcome=""),
        ):  # fmt: skip
            state.save_operation(each)
        begun, ended = "2026-11-21T10:01:00Z", "2026-11-21T12:31:00Z"
        run = Run("train-1", 1, "default", TRAIN, "f", "local", RunStatus.FAILED, {}, "no space\nleft", begun, ended)
        state.save_run(run)
    return desk


def test_history_tells_who_did_what_when_with_which_plan_and_how_it_ended(past: Path) -> None:
    assert ask(past, "history").out.splitlines() == [
        "2026-11-21T10:05:00Z  apply  killed  by ada  at c0ffeec0ffee",
        "    'studio status' says what came of it",
        "2026-11-21T10:03:00Z  state mv  succeeded  by bob  at c0ffeec0ffee  took 1 min 5 s",
        "    Dataset/tickets: moved to Dataset/tix",
        "2026-11-21T10:01:00Z  apply  failed  by ada  at c0ffeec0ffee  plan f00df00df00d  took 1 min 5 s",
        "    Dataset/tickets: done; Model/tiny: done; FineTuningJob/train: failed",
    ]
    assert ask(past, "history", "-n", "1").out.count("\n") == 2


def test_of_many_changes_it_is_counted_what_happened(past: Path) -> None:
    changes = {
        f"Dataset/d{n}": ("done", "failed", "blocked", "reused", "held back", "renamed")[n % 6] for n in range(24)
    }
    with writing(past) as state:
        state.save_operation(operation("4", 7, summary=changes | {"Dataset/x": "done"}))
    assert "    5 done, 4 failed, 4 blocked, 4 reused, 8 more\n" in ask(past, "history").out


def test_an_operation_whose_process_holds_the_lock_is_under_way_else_it_was_killed(past: Path) -> None:
    with writing(past):
        assert "apply  under way  by ada" in ask(past, "history").out
        assert "Last apply by ada at c0ffeec0ffee: under way, " in ask(past, "status").out
    assert "Last apply by ada at c0ffeec0ffee: killed, " in ask(past, "status").out


def test_a_resource_s_history_follows_its_names_and_shows_its_runs(past: Path) -> None:
    moved = ask(past, "history", "--resource", "Dataset/tickets").out
    assert "Dataset/tickets: moved to Dataset/tix" in moved and "Dataset/tickets: done" in moved
    with writing(past) as state:
        state.save_operation(operation("4", 7, command="state rm", summary={"Dataset/tix": "forgotten"}))
    renamed = ask(past, "history", "--resource", "tix").out
    assert "Dataset/tickets: moved to Dataset/tix" in renamed and "Dataset/tix: forgotten" in renamed
    assert "Dataset/tickets: done" in renamed, "what happened under the old name belongs to it"
    trained = ask(past, "history", "--resource", "train").out
    assert trained.endswith(
        "Runs of FineTuningJob/train:\n2026-11-21T10:01:00Z  failed  train-1, attempt 1 on local  took 2 h 30 min\n"
        "    no space\n"
    )


def test_json_holds_every_operation_whole(past: Path) -> None:
    found = json.loads(ask(past, "history", "--json").out)
    assert [each["id"] for each in found["operations"]] == ["3", "2", "1"] and found["runs"] == []
    first = found["operations"][-1]
    assert first["counts"] == {"done": 2, "failed": 1} and first["summary"][str(TRAIN)] == "failed"
    assert (first["actor"], first["plan"], first["outcome"]) == ("ada", "f00d" * 16, "failed")
    found = json.loads(ask(past, "history", "--json", "--resource", str(TRAIN)).out)
    assert [each["key"] for each in found["runs"]] == ["train-1"] and len(found["operations"]) == 1


def test_where_nothing_happened_history_says_so_and_makes_no_state(desk: Path) -> None:
    assert ask(desk, "history").out == "Nothing has been applied or edited yet.\n"
    answer = ask(desk, "history", "--resource", "Dataset/nope")
    assert answer.code == 64 and "nothing recorded is called 'Dataset/nope'" in answer.err
    assert not (desk / ".studio" / "state.db").exists()


@pytest.mark.parametrize("value", ["0", "-1", "x"])
def test_a_number_of_operations_that_makes_no_sense_is_refused(desk: Path, value: str) -> None:
    assert ask(desk, "history", "-n", value).code == 64


def test_what_an_operation_says_cannot_command_a_terminal(past: Path) -> None:
    with writing(past) as state:
        state.save_operation(operation("5", 9, actor="\x1b[2Jeve", command="a\nb", summary={"x\x1b": "\x1b]0;"}))
    answer = ask(past, "history")
    assert answer.code == 0 and "\x1b" not in answer.out


def test_a_move_by_apply_is_told_under_both_names(tmp_path: Path) -> None:
    config = projects.manifest("Config", "old", {"type": "custom", "config": {"a": 1}})
    root = projects.write(tmp_path / "desk", [config])
    assert ask(root, "apply").code == 0
    projects.write(root, [{**config, "metadata": {"name": "new", "renamed_from": "old"}}])
    assert ask(root, "apply").code == 0
    for name in ("Config/new", "Config/old"):
        assert "Config/new: done, moved from Config/old" in ask(root, "history", "--resource", name).out
    assert ask(root, "history", "--resource", "Config/new").out.endswith("    Config/old: done\n")


def test_names_are_followed_through_several_moves_and_not_to_what_has_them_now(past: Path) -> None:
    """tickets became tix, then rows; another data set is called tickets now."""
    with writing(past) as state:
        state.save_operation(operation("4", 7, summary={"Dataset/rows": "done, moved from Dataset/tix"}))
        state.save_operation(operation("5", 9, summary={"Dataset/tickets": "replaced"}))
    found = ask(past, "history", "--resource", "Dataset/rows").out
    assert found.count("\n") == 6 and "Dataset/tickets: done" in found and "replaced" not in found
    assert "Dataset/tickets: moved to Dataset/tix" in found


@pytest.mark.parametrize(
    "words", ["done, moved from ", "moved from Dataset", "moved to Dataset/tix", "moved from \x1b"]
)
def test_a_summary_that_makes_no_sense_ends_no_history(past: Path, words: str) -> None:
    with writing(past) as state:
        state.save_operation(operation("4", 7, summary={"Dataset/tix": words}))
    assert ask(past, "history", "--resource", "Dataset/tix").code == 0


def test_a_plan_and_the_apply_of_it_have_the_same_digest(tmp_path: Path) -> None:
    """Another plan for the same manifests has another one."""
    config = projects.manifest("Config", "old", {"type": "custom", "config": {"a": 1}})
    other = projects.manifest("Config", "other", {"type": "custom", "config": {"a": 2}})
    root = projects.write(tmp_path / "desk", [config, other])
    part = json.loads(ask(root, "plan", "--json", "--target", "Config/old").out)["digest"]
    whole = json.loads(ask(root, "plan", "--json").out)["digest"]
    assert part != whole and ask(root, "plan", "--out", "saved.json").code == 0
    assert ask(root, "apply", "saved.json").code == 0
    (applied,) = json.loads(ask(root, "history", "--json").out)["operations"]
    assert applied["plan"] == whole
    assert f"plan {whole[:12]}" in ask(root, "history").out


KILLED = """
import os
from studio.apply.loop import Loop
from studio.cli.main import main
Loop.run = lambda self: os._exit(9)
main()
"""


def test_a_move_is_told_although_the_apply_that_made_it_was_killed(tmp_path: Path) -> None:
    """The record has its new name then, so no later apply tells of it."""
    config = projects.manifest("Config", "old", {"type": "custom", "config": {"a": 1}})
    root = projects.write(tmp_path / "desk", [config])
    assert ask(root, "apply").code == 0
    projects.write(root, [{**config, "metadata": {"name": "new", "renamed_from": "old"}}])
    command = [sys.executable, "-c", KILLED, "apply", "--yes"]
    assert subprocess.run(command, cwd=root, env=environment(), capture_output=True).returncode == 9
    told = ask(root, "history", "--resource", "Config/new").out
    assert "apply  killed" in told and "    Config/new: moved from Config/old\n" in told
    assert told.endswith("    Config/old: done\n")
