"""Jobs on this machine: one detached, supervised process group each, in ``.studio/runs/<key>/``."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.backends import endings
from studio.backends.base import Capacity, Handle, JobState, JobStatus
from studio.backends.log_file import LogFile
from studio.core.errors import BackendError
from studio.core.jobspec import EVENTS_FILE, RESULT_FILE, JobSpec
from studio.jobs import events, run_folder, threads

START_SECONDS = 20.0
"""How long a supervisor may take to report itself."""


@contextmanager
def _legible() -> Iterator[None]:
    """A disk that fails, missing rights, a damaged report: the job itself may be in order."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise BackendError(f"the runs cannot be read: {error}", "check the disk, its space and its rights") from error


@dataclass(frozen=True, slots=True)
class LocalBackend:
    """``runs`` is the folder of run folders; ``environ`` what jobs inherit."""

    runs: Path
    environ: dict[str, str]
    name: str = "local"

    def submit(self, spec: JobSpec) -> Handle:
        folder = spec.folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            run_folder.write(folder / run_folder.SPEC, spec.model_dump_json(indent=1))
            self._spawn(folder, spec)
        except OSError as error:
            raise BackendError(
                f"the job cannot be started in {folder}: {error.strerror}", "check space and rights"
            ) from error
        handle = Handle(spec.key, spec.attempt, {"folder": str(folder)})
        self._await_start(folder, spec.attempt)
        return handle

    @_legible()
    def find(self, key: str, attempt: int) -> Handle | None:
        folder = self.runs / key
        started = run_folder.read(folder / run_folder.SUPERVISOR).get("attempt") == attempt
        return Handle(key, attempt, {"folder": str(folder)}) if started else None

    @_legible()
    def attempts(self, key: str) -> int:
        folder = self.runs / key
        reports = (run_folder.read(folder / name) for name in (run_folder.SUPERVISOR, run_folder.EXIT))
        return max(int(report.get("attempt", 0)) for report in reports)

    @_legible()
    def poll(self, handle: Handle) -> JobStatus:
        folder = _folder(handle)
        alive = run_folder.is_alive(folder)  # asked first: what ends after this is seen at the next poll
        ended = run_folder.read(folder / run_folder.EXIT)
        progress = events.last(folder / EVENTS_FILE)
        if ended.get("attempt") != handle.attempt and alive:
            return JobStatus(JobState.RUNNING, progress)
        file = folder / RESULT_FILE
        said = endings.of_result(file.read_bytes(), handle, progress, str(file)) if file.exists() else None
        if said:
            return said
        if ended.get("attempt") == handle.attempt and ended.get("cancelled"):
            return endings.cancelled(progress)
        message = endings.death(ended.get("code") if ended.get("attempt") == handle.attempt else None)
        hint = f"{endings.RESUME}; the log is {folder / run_folder.LOG}"
        return JobStatus(JobState.FAILED, progress, None, message, hint)

    @_legible()
    def concluded(self, status: JobStatus) -> JobStatus:
        return status

    def cancel(self, handle: Handle) -> None:
        folder = _folder(handle)
        started = run_folder.read(folder / run_folder.SUPERVISOR)
        if not run_folder.is_alive(folder) or started.get("attempt") != handle.attempt:
            return
        if run_folder.is_supervisor(int(started["pid"]), folder):
            os.kill(int(started["pid"]), signal.SIGTERM)
        elif started.get("job_pid"):  # it was killed, and its job lives on
            os.killpg(int(started["job_pid"]), signal.SIGTERM)

    def log(self, handle: Handle) -> LogFile:
        return LogFile(_folder(handle) / run_folder.LOG)

    @_legible()
    def holds(self, location: str) -> bool:
        return (self._project / location).is_file()

    @_legible()
    def discard(self, folder: str) -> None:
        found = self._project / folder
        if found.is_dir() and not found.is_symlink():
            shutil.rmtree(found)

    @property
    def _project(self) -> Path:
        return self.runs.parents[1]

    def total(self) -> Capacity:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
        return Capacity(len(os.sched_getaffinity(0)), len(self._gpus()), memory)

    @_legible()
    def capacity(self) -> Capacity:
        total, running = self.total(), list(self._running())
        asked = [spec["resources"] for spec, _ in running if spec]
        return Capacity(
            total.cpu - sum(each["cpu"] for each in asked),
            total.gpu - sum(each["gpu"] for each in asked),
            total.memory - sum(each["memory"] for each in asked),
            idle=not running,
        )

    def _running(self) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Spec and supervisor's report of every run that is alive."""
        for lock in sorted(self.runs.glob(f"*/{run_folder.LOCK}")):
            if run_folder.is_alive(lock.parent):
                yield (
                    run_folder.read(lock.parent / run_folder.SPEC),
                    run_folder.read(lock.parent / run_folder.SUPERVISOR),
                )

    def _gpus(self) -> list[str]:
        """Ids of the GPUs that jobs may use."""
        visible = self.environ.get("CUDA_VISIBLE_DEVICES")
        if visible is not None:
            return [gpu for gpu in visible.split(",") if gpu]
        return [device.name.removeprefix("nvidia") for device in sorted(Path("/dev").glob("nvidia[0-9]*"))]

    def _spawn(self, folder: Path, spec: JobSpec) -> None:
        taken = {gpu for _, started in self._running() for gpu in started.get("gpus", ())}
        free = [gpu for gpu in self._gpus() if gpu not in taken][: spec.resources.gpu]
        if len(free) < spec.resources.gpu:
            hint = "set num_gpu: 0 to train on the CPU, or choose a backend with GPUs"
            raise BackendError(f"the job asks for {spec.resources.gpu} GPU, {len(free)} are free here", hint)
        with (folder / run_folder.LOG).open("ab") as log:
            subprocess.Popen(
                [sys.executable, "-P", "-m", "studio.backends.supervisor", str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=self._environment(spec, free),
            )

    def _environment(self, spec: JobSpec, gpus: list[str]) -> dict[str, str]:
        # A safe path: a project's own datasets.py must not be taken for the library.
        own = {"CUDA_VISIBLE_DEVICES": ",".join(gpus), "PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1"}
        return {**self.environ, **threads.environment(spec.resources), **own}

    def _await_start(self, folder: Path, attempt: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if run_folder.read(folder / run_folder.SUPERVISOR).get("attempt") == attempt:
                return
            time.sleep(0.02)
        raise BackendError("the job's supervisor did not start", f"see {folder / run_folder.LOG}")


def _folder(handle: Handle) -> Path:
    return Path(handle.details["folder"])
