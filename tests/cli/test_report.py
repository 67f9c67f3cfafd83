"""``studio report``: where it writes, what it replaces, and what it says of wrong names and places."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from studio.core.references import Ref
from tests import projects
from tests.report import scene

from .front_door import ask
from .states import writing


@pytest.fixture
def evaluated(desk: Path) -> Path:
    """A project whose training and evaluation ended; what the jobs left is there but for the baseline's answers."""
    outputs = scene.outputs()
    made = {
        Ref("FineTuningJob", "train"): outputs[scene.TRAIN],
        Ref("EvaluationJob", "compare"): outputs[scene.COMPARE],
    }
    with writing(desk) as state:
        for item in projects.wanted(desk).items.values():
            if not item.shipped:
                outcome = {"output": made[item.ref], "run_dir": f"runs/{item.ref.name}"} if item.ref in made else {}
                state.save_record(replace(projects.record(item), outcome=outcome))
    for name in ("train", "compare"):
        (desk / "runs" / name).mkdir(parents=True)
    (desk / "runs" / "train" / "events.jsonl").write_text(
        '{"time": 1, "phase": "train", "step": 4, "loss": 2.5}\n{"time": 2, "phase": "train", "step": 8, "loss": 0.5}\n'
    )
    (desk / "runs" / "compare" / "predictions-2.csv").write_text(
        "prompt,expected,prediction,correct\nWhere is it?,late,late,True\nBroken!,damaged,late,False\n"
    )
    (desk / "runs" / "compare" / "confusion-2.csv").write_text("expected,late,damaged,(other)\nlate,1,0,0\n")
    return desk


def test_a_page_of_html_goes_where_nothing_is_versioned_and_is_replaced(evaluated: Path) -> None:
    for _ in range(2):
        answer = ask(evaluated, "report", "EvaluationJob/compare", "--html")
        assert answer.code == 0, answer.err
    path = evaluated / ".studio" / "reports" / "EvaluationJob-compare.html"
    page = path.read_text("utf-8")
    assert answer.out.strip() == str(path) and "Where is it?" in page and "damaged" in page
    assert "The predictions of 1 of 2 combinations are gone" in page and "on the diagonal" in page


def test_a_training_is_drawn_from_its_events_and_shows_what_its_adapter_answered(evaluated: Path) -> None:
    page = ask(evaluated, "report", "FineTuningJob/train", "--html", "--out", "-").out
    assert "training loss from 2.5 at step 4 to 0.5 at step 8" in page and "2 logged steps" in page
    (evaluated / "runs" / "train" / "events.jsonl").unlink()
    assert "No curves:" in ask(evaluated, "report", "train", "--html", "--out", "-").out


def test_markdown_goes_to_standard_output(evaluated: Path) -> None:
    whole = ask(evaluated, "report")
    assert whole.code == 0 and whole.out.startswith("<!--") and "## Resources" in whole.out
    assert "█▁" in ask(evaluated, "report", "FineTuningJob/train").out
    assert ask(evaluated, "report").out == whole.out


def test_a_file_is_replaced_only_if_it_is_a_report(evaluated: Path) -> None:
    mine = evaluated / "notes.html"
    mine.write_text("<p>mine</p>")
    refused = ask(evaluated, "report", "--html", "--out", "notes.html")
    assert refused.code == 64 and "notes.html exists, and is no report" in refused.err
    assert mine.read_text() == "<p>mine</p>"
    for form in (["--html"], [], ["--html"]):
        assert ask(evaluated, "report", *form, "--out", "page.html").code == 0
    assert (evaluated / "page.html").read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["FineTuningJob/trian"], "did you mean 'FineTuningJob/train'"),
        (["--html", "--out", "runs"], "runs is a folder"),
        (["--html", "--out", "nowhere/page.html"], "the folder nowhere does not exist"),
        (["--html", "--out", ""], "--out names no file"),
        (["Config/no-such", "--html"], "nothing recorded is called 'Config/no-such'"),
    ],
)
def test_wrong_names_and_places_are_said(evaluated: Path, arguments: list[str], words: str) -> None:
    answer = ask(evaluated, "report", *arguments)
    assert answer.code == 64 and words in answer.err and answer.out == ""


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_a_folder_that_takes_no_file_is_said(evaluated: Path) -> None:
    (evaluated / "closed").mkdir(mode=0o500)
    answer = ask(evaluated, "report", "--out", "closed/page.md")
    assert answer.code == 1 and "closed" in answer.err


def test_what_was_never_applied_has_a_page_that_says_so(data_only: Path) -> None:
    ref = next(iter(projects.wanted(data_only).items))
    page = ask(data_only, "report", str(ref), "--html", "--out", "-")
    assert page.code == 0 and "never applied" in page.out
    assert "nothing applied" not in page.out and "not applied" in ask(data_only, "report").out
