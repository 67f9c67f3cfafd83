"""Processes and what they report, without Axolotl."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from studio.core.errors import JobError
from studio.core.jobspec import JobSpec
from studio.jobs import child, offspring
from studio.jobs.events import EventLog, read
from studio.jobs.training.axolotl import process
from studio.jobs.training.axolotl.progress import Progress
from studio.jobs.training.posting import Post

from ...workbench import MakeSpec, training

BEGAN = {"what": "began", "step": 0, "total": 4, "trainable": 2, "parameters": 10, "tokens": 40, "unmasked": 10,
         "earlier": 0.0, "device": "cpu", "rows": 8, "history": []}  # fmt: skip
ENDED = {"what": "ended", "step": 4, "total": 4, "seconds": 2.0, "epochs": 2.0, "peak_memory_bytes": 5.0,
         "held_out_loss": 0.5, "held_out_rows": 2.0}  # fmt: skip


def logged(step: int, loss: float) -> dict[str, Any]:
    return {"what": "logged", "step": step, "total": 4, "numbers": {"loss": loss, "learning_rate": 0.1}}


def write(report: Path, *lines: dict[str, Any]) -> None:
    with report.open("a") as stream:
        stream.writelines(json.dumps(line) + "\n" for line in lines)


@pytest.fixture
def progress(tmp_path: Path) -> Progress:
    events = EventLog(tmp_path / "events.jsonl")
    return Progress(tmp_path / "report.jsonl", events, Post(None, events))


def test_a_report_becomes_events_and_metrics(progress: Progress, tmp_path: Path) -> None:
    write(progress.report, BEGAN, logged(2, 3.0))
    progress.look()
    with progress.report.open("a") as stream:
        stream.write('{"what": "logg')  # a line that is being written
    progress.look()
    progress.report.write_text(
        "".join(json.dumps(line) + "\n" for line in (BEGAN, logged(2, 3.0), logged(4, 1.0), ENDED))
    )
    progress.look()
    progress.require(0, "")
    steps = [(each.step, each.loss) for each in read(tmp_path / "events.jsonl") if each.loss is not None]
    assert steps == [(2, 3.0), (4, 1.0)]
    found = progress.measured()
    assert (found["train_loss"], found["final_loss"], found["eval_loss"], found["peak_memory_bytes"]) == (
        2.0,
        1.0,
        0.5,
        5.0,
    )
    assert found["tokens_per_second"] == pytest.approx(2 * 40 / 2.0)


def test_a_training_that_did_not_end_well_says_why(progress: Progress) -> None:
    with pytest.raises(JobError, match="ended without having trained"):
        progress.require(0, "")
    with pytest.raises(JobError, match=r"Axolotl failed \(exit code 1\): ValueError: no"):
        progress.require(1, "ValueError: no")
    write(progress.report, BEGAN, {"what": "diverged", "step": 3, "total": 4, "loss": "nan"})
    progress.look()
    with pytest.raises(JobError, match="the loss is nan at step 3: training diverged"):
        progress.require(1, "FloatingPointError: x")


def test_what_a_process_says_is_kept_without_progress_bars(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bar, row = " 10%|#   | 1/10 [00:01<00:09]", "| acc | 95%| best |"
    script = f"print('hello'); print('{bar}', end='\\r'); print('{row}'); raise ValueError('no such key')"
    code, spoken = child.run([sys.executable, "-c", script], {}, tmp_path, lambda: None)
    assert (code, spoken.reason) == (1, "ValueError: no such key")
    said = capfd.readouterr().out
    assert "hello" in said and bar not in said and row in said


def test_whatever_stops_the_wait_stops_all_that_was_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    script = (
        "import os, subprocess, sys, time; child = subprocess.Popen([sys.executable, '-c', sys.argv[2]]);"
        "open(sys.argv[1], 'w').write(f'{os.getpid()} {child.pid}'); time.sleep(600)"
    )

    def stop() -> None:
        if pids.exists() and pids.read_text().count(" "):
            time.sleep(1)  # until the signal is ignored
            raise SystemExit(143)

    patience = pytest.MonkeyPatch()
    patience.setattr(offspring, "GRACE_SECONDS", 0.5)
    patience.setattr(offspring, "LEAST_SECONDS", 0.5)
    with patience.context(), pytest.raises(SystemExit):
        child.run([sys.executable, "-c", script, str(pids), stubborn], {}, tmp_path, stop)
    patience.undo()
    assert not any(psutil.pid_exists(int(pid)) and _runs(int(pid)) for pid in pids.read_text().split())


def _runs(pid: int) -> bool:
    return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_the_environment_has_no_secret_and_reports_to_nobody(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    unwanted = {
        *(
            "HF_TOKEN",
            "MY_TOKEN",
            "TRACKING",
            "PYTHONPATH",
            "RANK",
            "MLFLOW_TRACKING_TOKEN",
            "MLFLOW_TRACKING_PASSWORD",
        ),
        *("STUDIO_STATE_URL", "STUDIO_JUDGE_KEY", "CDSW_APIV2_KEY", "AWS_SECRET_ACCESS_KEY", "OPENAI_API_KEY"),
    }
    for name in unwanted:
        monkeypatch.setenv(name, "x")
    spec = make_spec(training(), secrets={"hf_token": "MY_TOKEN"})
    tracking = spec.tracking.model_copy(update={"tracking_uri": "env:TRACKING"})
    found = process.environment(spec.model_copy(update={"tracking": tracking}), Path("/home"), {"STUDIO_REPORT": "/r"})
    assert not unwanted & set(found) and found["STUDIO_REPORT"] == "/r" and "PATH" in found
    assert found["AXOLOTL_DO_NOT_TRACK"] == found["HF_HUB_OFFLINE"] == "1" and found["CUDA_VISIBLE_DEVICES"] == ""


@pytest.mark.parametrize(
    ("resources", "has", "lacks"),
    [
        ({"cpu": 2}, ["--num_processes 1", "--cpu"], ["--multi_gpu"]),
        ({"cpu": 2, "gpu": 1}, ["--num_processes 1"], ["--cpu", "--multi_gpu"]),
        ({"cpu": 2, "workers": 2}, ["--num_processes 2", "--multi_gpu"], ["--cpu"]),
    ],
)
def test_accelerate_starts_a_process_for_each_worker(
    make_spec: MakeSpec, resources: dict[str, int], has: list[str], lacks: list[str]
) -> None:
    spec: JobSpec = make_spec(training(), resources=resources)
    line = " ".join(process.command(Path("/ax/python"), Path("/run/axolotl.yaml"), spec))
    assert line.startswith("/ax/python -m accelerate.commands.launch") and line.endswith(
        "-m axolotl.cli.train /run/axolotl.yaml"
    )
    assert all(part in line for part in has) and not any(part in line for part in lacks)
