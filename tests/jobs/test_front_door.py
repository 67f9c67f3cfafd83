"""``python -m studio.jobs``: what a backend sees of a job, whatever happens in it."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.core.errors import JobError
from studio.core.jobspec import JobSpec, Resources
from studio.jobs import exhaustion, performing, threads
from studio.jobs.events import EventLog, read
from studio.jobs.result import Outcome, read_result

from .workbench import ROOT, MakeSpec, environment, events, in_process_of_its_own, log, perform, start, training


@pytest.mark.parametrize("arguments", [[], ["missing.json"], ["one.json", "two.json"]])
def test_a_spec_that_cannot_be_read_is_a_usage_error(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", "studio.jobs", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 64 and done.stderr


def test_a_spec_of_another_shape_is_a_usage_error(tmp_path: Path) -> None:
    path = tmp_path / "spec.json"
    path.write_text('{"version": 2}')
    done = subprocess.run([sys.executable, "-m", "studio.jobs", str(path)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 64 and "version" in done.stderr


def test_no_library_is_imported_before_the_first_event() -> None:
    code = (
        "import sys, studio.jobs.__main__; print([m for m in ('torch', 'transformers', 'mlflow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_what_a_user_can_mend_is_a_failure_with_a_hint_and_exit_code_1(make_spec: MakeSpec) -> None:
    spec = make_spec(training(training_arguments={"warmup_ratio": 0.1}))
    code, result = in_process_of_its_own(spec)
    assert code == 1 and result.failure is not None and not result.failure.bug
    assert "warmup_ratio" in result.failure.message and "warmup_steps" in result.failure.hint
    assert [event.phase for event in events(spec)][-1] == "failed"


def test_a_missing_library_is_named_with_the_command_that_installs_it(make_spec: MakeSpec, tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    absent.mkdir()
    (absent / "datasets.py").write_text("raise ModuleNotFoundError('no datasets', name='datasets')")
    code, result = in_process_of_its_own(make_spec(training()), PYTHONPATH=f"{absent}:{ROOT}")
    assert code == 1 and result.failure and not result.failure.bug
    assert "datasets is not installed" in result.failure.message and "[train]" in result.failure.hint


def test_a_fault_of_ours_is_marked_as_one_and_logs_its_traceback(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(spec: JobSpec, events: EventLog) -> Outcome:
        raise KeyError("surprise")

    monkeypatch.setattr(performing, "_job", lambda task: fails)
    result = perform(make_spec(training()))
    assert result.failure is not None and result.failure.bug and "KeyError" in result.failure.message
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("cause", [None, ValueError("a library's own words")])
def test_what_a_user_can_mend_is_told_without_a_traceback_unless_a_library_said_more(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], cause: Exception | None
) -> None:
    def fails(spec: JobSpec, events: EventLog) -> Outcome:
        raise JobError("the judge refuses the key", "put in a valid one") from cause

    monkeypatch.setattr(performing, "_job", lambda task: fails)
    perform(make_spec(training()))
    printed = capsys.readouterr().err
    assert ("Traceback" in printed) is bool(cause)
    assert printed.endswith("failed: the judge refuses the key\nput in a valid one\n")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("passed_on_as", [RuntimeError, JobError])
def test_a_full_disk_is_named(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch, number: int, passed_on_as: type[Exception]
) -> None:
    def fails(spec: JobSpec, events: EventLog) -> Outcome:
        try:
            raise OSError(number, "No space left", "/data/run/adapter.bin")
        except OSError as error:
            raise passed_on_as("a library's own words") from error

    monkeypatch.setattr(performing, "_job", lambda task: fails)
    result = perform(make_spec(training()))
    assert result.failure is not None and not result.failure.bug
    assert result.failure.message == "the disk of /data/run is full"


def test_memory_that_ran_out_is_not_a_fault_of_ours(make_spec: MakeSpec) -> None:
    import torch

    for error in (MemoryError(), torch.OutOfMemoryError("CUDA")):
        explained = exhaustion.explain(error, make_spec(training()))
        assert isinstance(explained, JobError) and "out of memory" in explained.message


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the right to mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
def test_a_disk_that_fills_up_ends_the_job_with_a_message(make_spec: MakeSpec, small_disk: Path) -> None:
    spec = make_spec(training(lora={"r": 256, "target_modules": "all-linear"}), run_dir=str(small_disk / "run"))
    job = start(spec)
    code = job.wait(timeout=120)
    text = (log(spec)) if (spec.folder / "log.txt").exists() else ""
    result = read_result(spec.folder)
    if result is None:
        assert code == 74, text
    else:
        assert code == 1 and result.failure is not None and not result.failure.bug, text
        assert "small" in result.failure.message and "full" in result.failure.message


def test_a_torn_last_line_of_an_earlier_attempt_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventLog(path) as first:
        first.write("start", "one")
    with path.open("a") as stream:
        stream.write('{"time": 1, "pha')
    assert [event.message for event in read(path)] == ["one"]
    with EventLog(path) as second:
        second.write("start", "two", step=1, total=2)
    assert [event.message for event in read(path)] == ["one", "two"]
    assert read(path)[1].total == 2


def test_other_ranks_write_no_events(tmp_path: Path) -> None:
    with EventLog(tmp_path / "events.jsonl", muted=True) as events_:
        events_.write("start")
    assert read(tmp_path / "events.jsonl") == []


def test_threads_are_what_was_asked_for_but_no_more_than_there_are() -> None:
    there = len(os.sched_getaffinity(0))
    assert threads.count(Resources(cpu=1)) == 1
    assert threads.count(Resources(cpu=there + 7)) == there
    assert threads.count(Resources(cpu=there, workers=there)) == 1
    variables = threads.environment(Resources(cpu=1))
    assert variables["OMP_NUM_THREADS"] == "1" and variables["OMP_WAIT_POLICY"] == "PASSIVE"


def test_the_environment_reaches_torch() -> None:
    code = "import torch; print(torch.get_num_threads())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment(), **threads.environment(Resources(cpu=1))},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == 1
