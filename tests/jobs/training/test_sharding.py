"""Trainings that several processes share: what a step learns from, models that are split, and going on after a kill."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from studio.core.errors import JobError
from studio.core.jobresult import JobResult, TrainingOutput
from studio.core.jobspec import RESULT_FILE, JobSpec
from studio.jobs import offspring

from .. import workbench
from ..workbench import MakeSpec, in_process_of_its_own, messages, start, training

pytestmark = pytest.mark.slow
SPLIT = Path(__file__).with_name("split_model.py")
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")


def test_a_model_that_two_processes_split_gives_the_adapter_of_one_that_is_whole(
    tiny_model: Path, tmp_path: Path
) -> None:
    """accelerate splits nothing on the CPU, torch does: what is gathered and measured is the same to the last bit."""
    environ = {**workbench.environment(), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*TORCHRUN, str(SPLIT), str(tiny_model), str(tmp_path)], env=environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "told.json").read_text())
    assert told["part"] == 0.5, "nothing was split"
    assert told["gathered"] == 8 and told["frozen"] == 0
    assert told["digests"][0] == told["digests"][1] and told["losses"][0] == told["losses"][1]


def test_two_processes_go_on_after_a_kill_as_if_there_had_been_none(make_spec: MakeSpec) -> None:
    arguments = {"per_device_train_batch_size": 1, "logging_steps": 5, "save_steps": 10}
    work = training(epochs=6, training_arguments=arguments)
    two = {"cpu": 2, "workers": 2}
    spec = make_spec(work, "killed", resources=two)
    job = start(spec, *TORCHRUN, OMP_NUM_THREADS="1")
    until(lambda: list((spec.folder / "checkpoints").glob("*/studio.complete.json")))
    kill_all(job)
    assert not (spec.folder / RESULT_FILE).exists()

    straight = in_process_of_its_own(make_spec(work, "straight", resources=two), *TORCHRUN, OMP_NUM_THREADS="1")[1]
    later = spec.model_copy(update={"attempt": 2})
    resumed = in_process_of_its_own(later, *TORCHRUN, OMP_NUM_THREADS="1")[1]
    assert "resuming at step" in messages(spec)
    assert "1 rows x 2 workers x 1 accumulated = 2 rows a step" in messages(spec)
    assert output(resumed).digest == output(straight).digest
    assert output(resumed).metrics["eval_loss"] == output(straight).metrics["eval_loss"]


def output(result: JobResult) -> TrainingOutput:
    assert isinstance(result.output, TrainingOutput), result.failure
    return result.output


def kill_all(job: subprocess.Popen[str]) -> None:
    """The launcher and its workers at once, as a machine that goes down does."""
    for pid in (job.pid, *(each.pid for each in offspring.below(job.pid))):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert job.wait() == -signal.SIGKILL


def until(condition: object, seconds: float = 120.0) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(("content", "words"), [("{", "cannot be read"), (None, "cannot be read"), ('{"zero": 1}', "")])
def test_settings_in_files_are_read_from_the_project(make_spec: MakeSpec, content: str | None, words: str) -> None:
    from studio.core.jobspec import TrainingWork
    from studio.jobs.training import sharding

    spec: JobSpec = make_spec(training(training_arguments={"deepspeed": "zero.json", "fsdp_config": '{"a": 1}'}))
    if content is not None:
        spec.path("zero.json").write_text(content)
    assert isinstance(spec.work, TrainingWork)
    if words:
        with pytest.raises(JobError, match=words):
            sharding.with_settings(spec.work, spec)
        return
    given = sharding.with_settings(spec.work, spec).training_arguments
    assert given == {"deepspeed": {"zero": 1}, "fsdp_config": '{"a": 1}'}
