"""A backend in a folder: its jobs need no process, and a journal that outlives every crash counts their submissions.

One line of the journal is the job: what is not in it never started. A job ends by the clock, some milliseconds after
its line was written, whoever is alive then. Results are files that were laid ready before.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from studio.backends.base import Capacity, Handle, JobState, JobStatus, Log
from studio.core.jobresult import Failure, JobResult
from studio.core.jobspec import JobSpec
from tests.crash.project import FLAKY
from tests.fakes.backend import result_of

FOLDER, JOURNAL = ".backend", "journal.jsonl"
SHORTEST, STEP, LENGTHS = 0.005, 0.007, 4
"""A job takes one of four durations, in seconds, by its key."""
ASKED, EFFECT, AGAIN = "asked", "effect", "again"
"""Lines of the journal: a submission came in; its job exists from now on; its job existed already."""


@dataclass
class JournalBackend:
    """``reach`` is told each step; ``journal`` is what was read of the journal so far."""

    root: Path
    reach: Callable[[str], None] = lambda _: None
    name: str = "journal"
    journal: list[dict[str, Any]] = field(default_factory=list)
    offset: int = 0

    def submit(self, spec: JobSpec) -> Handle:
        self.reach("before submit")
        self.note(ASKED, spec)
        self.reach("inside submit, asked")
        with self._locked():
            if self._job(spec.key, spec.attempt):
                self.note(AGAIN, spec)
            else:
                _lay_ready(spec)
                self.reach("inside submit, results laid ready")
                self.note(EFFECT, spec, ends=time.time() + _duration(spec), result=str(spec.folder / "result.json"))
        self.reach("after submit")
        return Handle(spec.key, spec.attempt, {"job": f"{spec.key}.{spec.attempt}"})

    def find(self, key: str, attempt: int) -> Handle | None:
        self.reach("before find")
        return Handle(key, attempt, {"job": f"{key}.{attempt}"}) if self._job(key, attempt) else None

    def attempts(self, key: str) -> int:
        self.reach("before attempts")
        return max(
            (line["attempt"] for line in self.read() if line["what"] == EFFECT and line["key"] == key), default=0
        )

    def poll(self, handle: Handle) -> JobStatus:
        assert handle.details == {"job": f"{handle.key}.{handle.attempt}"}, "a handle that is not ours"
        job = self._job(handle.key, handle.attempt)
        assert job, "a job that was never submitted"
        if time.time() < job["ends"]:
            return JobStatus(JobState.RUNNING)
        self.reach("before poll of an ended job")
        result = JobResult.model_validate_json(Path(f"{job['result']}.{handle.attempt}").read_bytes())
        if result.failure:
            return JobStatus(JobState.FAILED, None, result, result.failure.message, result.failure.hint)
        return JobStatus(JobState.SUCCEEDED, None, result)

    def concluded(self, status: JobStatus) -> JobStatus:
        return status

    def cancel(self, handle: Handle) -> None:
        raise AssertionError("nothing is cancelled here")

    def log(self, handle: Handle) -> Log:
        raise AssertionError("nothing is read here")

    def holds(self, location: str) -> bool:
        return (self.root / location).is_file()

    def discard(self, folder: str) -> None:
        self.reach("before discard")
        if (self.root / folder).is_dir():
            shutil.rmtree(self.root / folder)

    def capacity(self) -> Capacity:
        self.reach("before capacity")
        return self.total()

    def total(self) -> Capacity:
        return Capacity(64, 8, 256)

    def read(self) -> list[dict[str, Any]]:
        """Every line of the journal."""
        path = self._path()
        if path.exists() and path.stat().st_size > self.offset:
            with path.open("rb") as stream:
                stream.seek(self.offset)
                text = stream.read()
            self.offset += len(text)
            self.journal += map(json.loads, text.splitlines())
        return self.journal

    def _path(self) -> Path:
        return self.root / FOLDER / JOURNAL

    def _job(self, key: str, attempt: int) -> dict[str, Any] | None:
        return next(
            (line for line in self.read() if (line["what"], line["key"], line["attempt"]) == (EFFECT, key, attempt)),
            None,
        )

    def note(self, what: str, spec: JobSpec, **more: Any) -> None:
        """One write, and on disk before it returns."""
        line = json.dumps({"what": what, "key": spec.key, "attempt": spec.attempt, "pid": os.getpid(), **more})
        self._path().parent.mkdir(exist_ok=True)
        descriptor = os.open(self._path(), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(descriptor, f"{line}\n".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One submission at a time; the lock of a killed process is free."""
        descriptor = os.open(self._path().with_name("lock"), os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _duration(spec: JobSpec) -> float:
    return SHORTEST + STEP * (int(spec.fingerprint[:4], 16) % LENGTHS)


def _lay_ready(spec: JobSpec) -> None:
    """The job's outputs and its result, the same whenever they are written."""
    spec.folder.mkdir(parents=True, exist_ok=True)
    result = result_of(spec)
    if spec.name == FLAKY and spec.attempt == 1:
        failure = Failure(message="the first attempt fails", hint="apply again")
        result = result.model_copy(update={"output": None, "failure": failure})
    (spec.folder / f"result.json.{spec.attempt}").write_text(result.model_dump_json(), "utf-8")
