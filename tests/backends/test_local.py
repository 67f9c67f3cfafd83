"""The local backend with real processes: supervisor, lock, signals, exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from studio.backends.base import Capacity, Handle, JobState, JobStatus
from studio.backends.local import LocalBackend
from studio.core.errors import BackendError
from studio.core.jobspec import (
    DatasetInput,
    JobSpec,
    ModelInput,
    Resources,
    Templates,
    Tracking,
    TrainingWork,
)
from studio.jobs import launching, run_folder
from tests.projects import ROOT

PATIENCE = 60.0
FAKE = ROOT / "tests" / "fakes" / "job"

LONG_JOB = """
import signal, sys, time
sys.stdout.write("working\\n"); sys.stdout.flush()
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
time.sleep(600)
"""


def job(root: Path, key: str = "finetuningjob-x-0000", attempt: int = 1, **asked: int) -> JobSpec:
    """A spec whose model does not exist: a real job that fails on its own."""
    work = TrainingWork(
        model=ModelInput(name="m", type="project", location="models/none"),
        dataset=DatasetInput(name="d", type="project_csv", location="data/none.csv"),
        templates=Templates(prompt="{a}"),
        adapter_name="a",
        epochs=1,
        learning_rate=0.001,
    )
    return JobSpec(
        key=key, attempt=attempt, kind="FineTuningJob", name="x", fingerprint="f" * 64, environment="default",
        project_dir=str(root), run_dir=f".studio/runs/{key}", work=work, resources=Resources(**asked),
        tracking=Tracking(tracking_uri="sqlite:///.studio/mlflow.db", experiment="x"),
    )  # fmt: skip


@pytest.fixture
def backend(tmp_path: Path) -> LocalBackend:
    return LocalBackend(tmp_path / ".studio" / "runs", {**os.environ, "CUDA_VISIBLE_DEVICES": ""})


@pytest.fixture
def idle(tmp_path: Path) -> LocalBackend:
    """A backend whose jobs do no work, so that they import nothing, and fail; everything around them is real."""
    for name in ("release", "fail-x"):
        (tmp_path / name).touch()
    return LocalBackend(tmp_path / ".studio" / "runs", {**os.environ, "PYTHONPATH": f"{FAKE}:{ROOT}"})


@pytest.fixture
def long_job(tmp_path: Path) -> Callable[[str], Handle]:
    """Starts a job that sleeps, under the real supervisor: a stand-in package shadows ``studio.jobs``' main only."""

    def start(key: str) -> Handle:
        folder = tmp_path / ".studio" / "runs" / key
        folder.mkdir(parents=True)
        run_folder.write(folder / run_folder.SPEC, job(tmp_path, key).model_dump_json())
        script = tmp_path / "long.py"
        script.write_text(LONG_JOB)
        code = (
            "import sys; from pathlib import Path;"
            "from studio.backends import supervisor; from studio.jobs import launching;"
            f"launching.command = lambda workers, file: [sys.executable, {str(script)!r}];"
            "sys.exit(supervisor.main(Path(sys.argv[1])))"
        )
        subprocess.Popen([sys.executable, "-c", code, str(folder)], start_new_session=True)
        wait_for(lambda: run_folder.read(folder / run_folder.SUPERVISOR).get("attempt") == 1)
        log = folder / run_folder.LOG
        wait_for(lambda: log.exists() and "working" in log.read_text())
        return Handle(key, 1, {"folder": str(folder)})

    return start


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def ended(backend: LocalBackend, handle: Handle) -> JobStatus:
    wait_for(lambda: backend.poll(handle).state is not JobState.RUNNING)
    return backend.poll(handle)


def supervisor(handle: Handle) -> dict[str, int]:
    return run_folder.read(Path(handle.details["folder"]) / run_folder.SUPERVISOR)


@pytest.mark.slow
def test_a_job_that_cannot_go_on_says_why_in_its_result(tmp_path: Path, backend: LocalBackend) -> None:
    handle = backend.submit(job(tmp_path))
    status = ended(backend, handle)
    assert status.state is JobState.FAILED
    assert "none" in status.message and status.hint
    assert status.result and status.result.failure and not status.result.failure.bug
    assert any("[start]" in line for line in backend.log(handle).lines())


def test_submitting_the_same_attempt_twice_runs_it_once(tmp_path: Path, idle: LocalBackend) -> None:
    spec = job(tmp_path)
    ended(idle, idle.submit(spec))
    again = idle.submit(spec)
    assert ended(idle, again).state is JobState.FAILED
    assert sum("working" in line for line in idle.log(again).lines()) == 1


def test_a_further_attempt_runs_again_in_the_same_folder(tmp_path: Path, idle: LocalBackend) -> None:
    ended(idle, idle.submit(job(tmp_path)))
    second = idle.submit(job(tmp_path, attempt=2))
    result = ended(idle, second).result
    assert result and result.attempt == 2
    assert sum("working" in line for line in idle.log(second).lines()) == 2


def test_what_was_never_submitted_is_not_found(tmp_path: Path, idle: LocalBackend) -> None:
    assert idle.find("finetuningjob-x-0000", 1) is None
    idle.submit(job(tmp_path))
    assert idle.find("finetuningjob-x-0000", 1)
    assert idle.find("finetuningjob-x-0000", 2) is None


def test_an_intent_whose_supervisor_never_started_is_not_found(tmp_path: Path, backend: LocalBackend) -> None:
    folder = tmp_path / ".studio" / "runs" / "k"
    folder.mkdir(parents=True)
    run_folder.write(folder / run_folder.SPEC, job(tmp_path, "k").model_dump_json())
    assert backend.find("k", 1) is None


def test_a_cancelled_job_ends_and_is_told_apart_from_a_failure(
    backend: LocalBackend, long_job: Callable[[str], Handle]
) -> None:
    handle = long_job("k")
    assert backend.poll(handle).state is JobState.RUNNING
    backend.cancel(handle)
    assert ended(backend, handle).state is JobState.CANCELLED


def test_a_killed_job_is_reported_with_its_signal(backend: LocalBackend, long_job: Callable[[str], Handle]) -> None:
    handle = long_job("k")
    os.kill(supervisor(handle)["job_pid"], signal.SIGKILL)
    status = ended(backend, handle)
    assert status.state is JobState.FAILED and "SIGKILL" in status.message and "log" in status.hint


def test_a_job_outlives_its_supervisor(backend: LocalBackend, long_job: Callable[[str], Handle]) -> None:
    handle = long_job("k")
    os.kill(supervisor(handle)["pid"], signal.SIGKILL)
    time.sleep(0.3)
    assert backend.poll(handle).state is JobState.RUNNING
    os.kill(supervisor(handle)["job_pid"], signal.SIGKILL)
    assert "killed" in ended(backend, handle).message


def test_running_jobs_take_room_until_they_end(
    tmp_path: Path, backend: LocalBackend, long_job: Callable[[str], Handle]
) -> None:
    assert backend.capacity().idle
    before = backend.capacity()
    handle = long_job("k")
    assert backend.capacity().cpu == before.cpu - 1 and not backend.capacity().idle
    os.kill(supervisor(handle)["job_pid"], signal.SIGKILL)
    wait_for(lambda: backend.capacity().idle)


def test_a_job_with_a_gpu_is_refused_where_there_is_none(tmp_path: Path, backend: LocalBackend) -> None:
    with pytest.raises(BackendError, match="1 GPU, 0 are free"):
        backend.submit(job(tmp_path, gpu=1))


def test_a_run_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path, backend: LocalBackend) -> None:
    (tmp_path / ".studio").write_text("in the way")
    with pytest.raises(BackendError, match="cannot be started"):
        backend.submit(job(tmp_path))


def test_progress_is_the_last_whole_line(backend: LocalBackend, long_job: Callable[[str], Handle]) -> None:
    handle = long_job("k")
    events = Path(handle.details["folder"]) / "events.jsonl"
    events.write_text('{"time": 1, "phase": "train", "step": 3, "total": 9}\n{"time": 2, "pha')
    progress = backend.poll(handle).progress
    assert progress and (progress.step, progress.total) == (3, 9)
    backend.cancel(handle)


def test_several_workers_go_through_the_launcher() -> None:
    line = launching.command(2, Path("spec.json"))
    assert "torch.distributed.run" in line and line[-3:] == ["-m", "studio.jobs", "spec.json"]


@pytest.mark.parametrize(
    ("free", "asked", "fits"),
    [
        (Capacity(2, 0, 8), Resources(cpu=2, memory=8), True),
        (Capacity(2, 0, 8), Resources(cpu=3, memory=1), False),
        (Capacity(2, 0, 8), Resources(cpu=1, memory=9), False),
        (Capacity(2, 0, 8, idle=True), Resources(cpu=64, memory=512), True),
        (Capacity(2, 0, 8, idle=True), Resources(gpu=1), False),
        (Capacity(2, 1, 8), Resources(gpu=1), True),
    ],
)
def test_cores_may_be_overbooked_when_idle_but_never_gpus(free: Capacity, asked: Resources, fits: bool) -> None:
    assert free.fits(asked) is fits


def test_a_write_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    run_folder.write(file, {"a": 1})
    run_folder.write(file, {"a": 2})
    assert json.loads(file.read_text()) == {"a": 2}
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


@pytest.mark.slow
def test_a_file_of_the_project_is_never_taken_for_a_library(tmp_path: Path, backend: LocalBackend) -> None:
    for name in ("pydantic", "datasets", "json"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported from the project')")
    status = ended(backend, backend.submit(job(tmp_path)))
    assert status.state is JobState.FAILED and "none" in status.message


def test_a_job_whose_supervisor_was_killed_can_still_be_cancelled(
    backend: LocalBackend, long_job: Callable[[str], Handle]
) -> None:
    handle = long_job("orphaned")
    wait_for(lambda: "job_pid" in supervisor(handle))
    os.kill(supervisor(handle)["pid"], signal.SIGKILL)
    wait_for(lambda: not run_folder.is_supervisor(supervisor(handle)["pid"], Path(handle.details["folder"])))
    assert backend.poll(handle).state is JobState.RUNNING
    backend.cancel(handle)
    assert ended(backend, handle).state is JobState.FAILED


def test_the_number_of_a_dead_supervisor_may_be_another_process(tmp_path: Path) -> None:
    assert not run_folder.is_supervisor(os.getpid(), tmp_path / "runs" / "x")
    assert not run_folder.is_supervisor(2**22 + 1, tmp_path)


def test_a_request_to_stop_that_comes_at_once_is_not_lost(tmp_path: Path, backend: LocalBackend) -> None:
    folder = tmp_path / ".studio" / "runs" / "early"
    folder.mkdir(parents=True)
    run_folder.write(folder / run_folder.SPEC, job(tmp_path, "early").model_dump_json())
    code = (
        "import sys, os, signal; from pathlib import Path;"
        "from studio.backends import supervisor; from studio.jobs import launching, run_folder;"
        "write = run_folder.write;"
        "run_folder.write = lambda path, content: (write(path, content), os.kill(os.getpid(), signal.SIGTERM));"
        f"launching.command = lambda workers, file: ['sleep', '600']; sys.exit(supervisor.main(Path({str(folder)!r})))"
    )
    done = subprocess.run([sys.executable, "-c", code], timeout=PATIENCE, start_new_session=True)
    handle = Handle("early", 1, {"folder": str(folder)})
    assert done.returncode == 0 and backend.poll(handle).state is JobState.CANCELLED


@pytest.mark.parametrize("ask", ["poll", "find", "attempts", "capacity"])
def test_a_damaged_report_is_a_backend_that_does_not_answer(tmp_path: Path, backend: LocalBackend, ask: str) -> None:
    folder = tmp_path / ".studio" / "runs" / "key"
    folder.mkdir(parents=True)
    for name in (run_folder.SUPERVISOR, run_folder.SPEC, run_folder.EXIT):
        (folder / name).write_text("{half")
    lock = run_folder.take_lock(folder)
    handle = Handle("key", 1, {"folder": str(folder)})
    arguments = {"poll": (handle,), "find": ("key", 1), "attempts": ("key",), "capacity": ()}[ask]
    with pytest.raises(BackendError, match="cannot be read"):
        getattr(backend, ask)(*arguments)
    assert lock is not None
    os.close(lock)


def test_an_event_that_cannot_be_read_is_no_progress(backend: LocalBackend, long_job: Callable[[str], Handle]) -> None:
    handle = long_job("odd")
    (Path(handle.details["folder"]) / "events.jsonl").write_text('{"time": 1, "phase": "new", "of_tomorrow": 1}\n')
    status = backend.poll(handle)
    assert status.state is JobState.RUNNING and status.progress is None
    backend.cancel(handle)
    ended(backend, handle)
