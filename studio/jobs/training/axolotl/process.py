"""Axolotl's processes: started in an environment of their own, listened to, and ended with the job."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

from studio.core.jobspec import VARIABLE, JobSpec
from studio.jobs import launching, threads

MODULE = "axolotl.cli.train"
POLL_SECONDS, GRACE_SECONDS = 0.5, 15.0
"""Between looks at the report; and between the request to stop and the kill, shorter than what the job itself gets."""
KEPT_LINES = 40
OTHERS = (
    *("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV"),
    *("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"),
    *("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"),
)
"""What is the job's own: its packages, its place in a run, its tracking, its secrets."""
_SECRET = re.compile(
    r"(?:MLFLOW|STUDIO|CDSW_API|CML_API)_?|.*(?:TOKEN|PASSWORD|PASSWD|SECRET|CREDENTIAL|_KEY|STATE_URL)"
)
"""Names of what may be a secret, whosever it is: a training needs none."""
QUIET: Mapping[str, str] = {
    "AXOLOTL_DO_NOT_TRACK": "1",
    "DO_NOT_TRACK": "1",
    "WANDB_MODE": "disabled",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONSAFEPATH": "1",
    "PYTHONUNBUFFERED": "1",
}
"""Nothing is reported or fetched; a project's own ``datasets.py`` is not taken for the library."""
_BAR = re.compile(r"\d+%\|.*\|")
_STAMP = re.compile(r"^\[[\d-]+ [\d:,]+\] ")


@dataclass(slots=True)
class Spoken:
    """The last lines of what Axolotl printed, progress bars left out."""

    lines: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))

    def hear(self, stream: IO[bytes]) -> None:
        """Pass everything on to the job's log until the stream ends."""
        for raw in stream:
            for part in raw.decode(errors="replace").split("\r"):
                line = part.rstrip()
                if line and not _BAR.search(line):
                    self.lines.append(line)
                    print(line, flush=True)

    @property
    def reason(self) -> str:
        """The last line that names an error; "" where there is none."""
        faults = [line for line in self.lines if re.match(r"[\w.]*(Error|Exception|Interrupt)\b", _STAMP.sub("", line))]
        own = [line for line in faults if "CalledProcessError" not in line and "ChildFailedError" not in line]
        return (own or faults or [""])[-1]


def command(python: Path, config: Path, spec: JobSpec) -> list[str]:
    """Accelerate's launcher, one process for each worker, all of them on this machine."""
    several, on_gpu = spec.resources.workers > 1, spec.resources.gpu > 0
    how = ["--num_machines", "1", "--num_processes", str(spec.resources.workers), "--mixed_precision", "no",
           "--dynamo_backend", "no"]  # fmt: skip
    if several:  # --cpu would start one process; ACCELERATE_USE_CPU keeps those of --multi_gpu on the CPU
        how += ["--multi_gpu", "--main_process_port", str(_free_port())]
    elif not on_gpu:
        how += ["--cpu"]
    return [str(python), "-m", "accelerate.commands.launch", *how, "-m", MODULE, str(config)]


def environment(spec: JobSpec, home: Path, more: Mapping[str, str]) -> dict[str, str]:
    """The job's own, without its packages and its secrets. ``home`` receives every cache, so that none is left."""
    dropped = {*OTHERS, *spec.secrets.values(), spec.tracking.tracking_uri.removeprefix(VARIABLE)}
    kept = {name: value for name, value in os.environ.items() if name not in dropped and not _SECRET.match(name)}
    on_cpu = {} if spec.resources.gpu > 0 else {"ACCELERATE_USE_CPU": "true", "CUDA_VISIBLE_DEVICES": ""}
    return {**kept, **threads.environment(spec.resources), **QUIET, **on_cpu, "HF_HOME": str(home), **more}


def run(line: list[str], environ: Mapping[str, str], folder: Path, look: Callable[[], None]) -> tuple[int, Spoken]:
    """Run to the end, calling ``look`` all the while; exit code, and what was said. Whatever stops this, stops all."""
    spoken = Spoken()
    child = subprocess.Popen(
        line, env=dict(environ), cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, preexec_fn=launching.tied(),
    )  # fmt: skip
    if child.stdout is None:
        raise AssertionError("a pipe was asked for")
    listener = threading.Thread(target=spoken.hear, args=(child.stdout,), daemon=True)
    listener.start()
    family = Family(child)
    try:
        while child.poll() is None:
            family.grow()
            look()
            time.sleep(POLL_SECONDS)
    finally:
        family.end()
    listener.join(timeout=GRACE_SECONDS)
    look()
    return child.returncode, spoken


@dataclass(slots=True)
class Family:
    """A process and all that it started, remembered: a launcher that died does not hide its workers."""

    child: subprocess.Popen[bytes]
    known: set[psutil.Process] = field(default_factory=set)

    def grow(self) -> None:
        """Note who is there now."""
        try:
            first = psutil.Process(self.child.pid)
            self.known |= {first, *first.children(recursive=True)}
        except psutil.NoSuchProcess:
            return

    def end(self) -> None:
        """Ask whoever still runs to stop, then kill."""
        self.grow()
        for send in (psutil.Process.terminate, psutil.Process.kill):
            for process in self._alive():
                with contextlib.suppress(psutil.NoSuchProcess):  # it ended in the meantime
                    send(process)
            self._await(GRACE_SECONDS)
        self.child.wait()

    def _await(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self._alive() and time.monotonic() < deadline:
            self.child.poll()  # so that it does not stay as a zombie
            time.sleep(0.05)

    def _alive(self) -> list[psutil.Process]:
        return [each for each in self.known if _runs(each)]


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
