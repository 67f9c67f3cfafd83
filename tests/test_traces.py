"""What runs left on this disk: read as far as it is there, and never from outside the project."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from studio import traces
from studio.core.references import Ref
from studio.state.base import Record, RecordStatus, Run, RunStatus

JOB = Ref("FineTuningJob", "train")
LINES = (
    '{"time": 1, "phase": "train", "step": 0, "total": 9}\n'
    '{"time": 2, "phase": "train", "step": 3, "loss": 2.0}\nnot JSON\n{"time": 3, "phase": "other", "new": 1}\n'
    '{"time": 4, "phase": "train", "step": 6, "loss": 1.0}\n{"time": 5, "pha'
)


def record(run_dir: str = "", **output: Any) -> Record:
    outcome = {"run_dir": run_dir, "output": {"task": "training", **output}}
    return Record(JOB, "uid", {}, {}, "f" * 64, {}, RecordStatus.READY, outcome=outcome)


def run(status: RunStatus, run_dir: str) -> Run:
    return Run("key", 1, "default", JOB, "f" * 64, "local", status, filing={"run_dir": run_dir})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "project" / "runs" / "a").mkdir(parents=True)
    (tmp_path / "project" / "runs" / "a" / "events.jsonl").write_text(LINES)
    (tmp_path / "events.jsonl").write_text(LINES)
    return tmp_path / "project"


KEPT = {"steps": [5, 9], "curves": {"loss": [4.0, 3.0]}}


def test_the_course_is_of_the_events_while_they_are_there_else_what_the_record_keeps(root: Path) -> None:
    told = traces.course_of(root, record("runs/a", course=KEPT), None)
    assert told.course.points("loss") == [(3, 2.0), (6, 1.0)] and told.origin == "the events of its run"
    told = traces.course_of(root, record("runs/gone", course=KEPT), None)
    assert told.course.points("loss") == [(5, 4.0), (9, 3.0)] and "not on this disk" in told.origin


def test_a_run_under_way_counts_before_what_was_recorded(root: Path) -> None:
    before = record("runs/gone", course=KEPT)
    told = traces.course_of(root, before, run(RunStatus.SUBMITTED, "runs/a"))
    assert told.course.steps == (3, 6) and "latest run" in told.origin
    assert traces.course_of(root, before, run(RunStatus.SUCCEEDED, "runs/a")).course.steps == (5, 9)
    assert traces.course_of(root, None, run(RunStatus.FAILED, "runs/a")).course.steps == (3, 6)
    assert traces.course_of(root, replace(before, outcome={}), run(RunStatus.FAILED, "runs/a")).course.steps == (3, 6)


def test_where_nothing_is_kept_that_is_said(root: Path) -> None:
    assert "MLflow has the metrics" in traces.course_of(root, record("runs/gone"), None).origin
    assert "nothing was told" in traces.course_of(root, None, None).origin
    odd = traces.course_of(root, record("runs/gone", course={"steps": "many"}), None)
    assert odd.course.steps == () and "MLflow" in odd.origin


@pytest.mark.parametrize("place", ["..", "../project/runs/a/..", "/etc", "runs/a/../../..", "", "\0", "runs/link"])
def test_no_location_leads_out_of_the_project(root: Path, place: str) -> None:
    (root / "runs" / "link").mkdir()
    (root / "runs" / "link" / "events.jsonl").symlink_to(root.parent / "events.jsonl")
    assert list(traces.events(root, place)) == []


def test_a_file_too_large_to_read_is_left_alone(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "LARGEST_BYTES", 10)
    assert traces.file(root, "runs/a/events.jsonl") is None and traces.file(root, "runs/a") is None
