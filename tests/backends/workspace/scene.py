"""A workspace with runs of which a test says what they do, and a clock that the test moves."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from studio.backends.base import Handle, JobStatus
from studio.backends.workspace.calls import Calls, Connection, Fault
from studio.backends.workspace.evidence import Evidence
from studio.backends.workspace.files import Files
from studio.backends.workspace.watching import Watching
from studio.core import beacons
from studio.core.beacons import Beacon, Ended
from studio.core.event import Event
from studio.core.jobresult import EvaluationOutput, Failure, JobResult, Output, TrainingOutput
from tests.fakes.cml_server import Workspace, workspace
from tests.fakes.workspace.running import Run

START = 1_800_000_000.0
"""When every test begins."""
KEY = "finetuningjob-router-0123456789abcdef"


@dataclass
class Scene:
    """``codes`` are exit codes by run; a run without one goes on."""

    cml: Workspace
    folder: Path
    now: float = START
    codes: dict[str, int] = field(default_factory=dict)
    told: threading.Condition = field(default_factory=threading.Condition)
    handles: dict[str, Handle] = field(default_factory=dict)
    pauses: list[float] = field(default_factory=list)
    _watching: Watching | None = None

    @property
    def watching(self) -> Watching:
        if self._watching is None:
            calls = self.calls()
            self._watching = Watching(Evidence(calls, Files(calls)), lambda: self.now)
        return self._watching

    def calls(self) -> Calls:
        from cmlapi.rest import ApiException

        connection = Connection(self.cml.client, (ApiException,), lambda error: Fault(error.status, str(error.reason)))  # type: ignore[attr-defined]
        return Calls(
            self.cml.url, self.cml.project_id, "CDSW_APIV2_KEY", lambda: connection,
            clock=lambda: self.now, sleep=self._sleep,
        )  # fmt: skip

    def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def perform(self, run: Run) -> int:
        """What a run does: it waits until the test says how it ends, or it is stopped."""
        with self.told:
            self.told.wait_for(lambda: run.id in self.codes or run.verdict != "", 30)
        return self.codes.get(run.id, 143)

    def start(self, key: str = KEY, parts: int = 1, attempt: int = 1, gpu: int = 0) -> Handle:
        jobs = []
        for number in range(1, parts + 1):
            name = f"{key}.part-{number}" if parts > 1 else key
            body = {"name": name, "script": "a.py", "kernel": "python3", "nvidia_gpu": gpu}
            job = self.cml.client.create_job(body, self.cml.project_id)
            run = self.cml.client.create_job_run({}, self.cml.project_id, job.id)
            jobs.append({"job_id": job.id, "run_id": run.id, "name": name})
        self.handles[key] = Handle(key, attempt, {"jobs": jobs})
        return self.handles[key]

    def end(self, handle: Handle, code: int = 0, part: int = 0) -> None:
        """The engine of a run ends with an exit code."""
        run = str(handle.details["jobs"][max(part - 1, 0)]["run_id"])
        with self.told:
            self.codes[run] = code
            self.told.notify_all()
        self.cml.ended(run)

    def stop(self, handle: Handle) -> None:
        """Somebody stops the runs in the workspace."""
        for job in handle.details["jobs"]:
            self.cml.client.stop_job_run(self.cml.project_id, job["job_id"], job["run_id"])
        with self.told:
            self.told.notify_all()
        for job in handle.details["jobs"]:
            self.cml.ended(job["run_id"])

    def tell(self, handle: Handle, phase: str, part: int = 0, **numbers: Any) -> None:
        """A job's beacon, with the time of the workspace's clock."""
        event = Event(time=numbers.pop("time", self.now), phase=phase, **numbers)
        self.write(Beacon(handle.key, handle.attempt, part).path, beacons.told(event))

    def tell_end(self, handle: Handle, code: int = 0, part: int = 0, **other: Any) -> None:
        path = Beacon(handle.key, handle.attempt, part, ended=True).path
        self.write(path, beacons.told_end(Ended(**{"code": code, "time": self.now, **other})))

    def leave(self, handle: Handle, part: int = 0, failure: str = "", **other: Any) -> None:
        """A result of the whole, or of a part."""
        output = None if failure else made(handle.key)
        left = JobResult(
            key=handle.key, attempt=handle.attempt, fingerprint="f" * 64, output=output,
            failure=Failure(message=failure, hint="mend it") if failure else None,
            started_at="2026-01-01T00:00:00Z", finished_at="2026-01-01T00:00:01Z", seconds=1.0,
        )  # fmt: skip
        self.write(f"{run_dir(handle, part)}/result.json", left.model_copy(update=other).model_dump_json().encode())

    def write(self, path: str, content: bytes) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def poll(self, handle: Handle, after: float = 0.0) -> JobStatus:
        """Where the run stands some seconds later."""
        self.now += after
        return self.watching.poll(handle)

    def counts(self) -> dict[str, int]:
        """How often each of the methods that watch was asked since the last time."""
        watching = ("list_project_files", "download_project_file", "get_job_run")
        found = {name: self.cml.count(name) for name in watching}
        self.cml.calls.clear()
        return found


def made(key: str) -> Output:
    """What a job of that name makes."""
    if key.startswith("evaluationjob-"):
        return EvaluationOutput(combinations=(), rows=0)
    return TrainingOutput(adapter="a", digest="d", metrics={}, train_rows=1, held_out_rows=0)


def run_dir(handle: Handle, part: int = 0) -> str:
    return f".studio/runs/{handle.key}" + (f"/part-{part}" if part else "")


@contextmanager
def scene(folder: Path, limit: int = 9, **settings: Any) -> Iterator[Scene]:
    folder.mkdir(parents=True, exist_ok=True)
    held: list[Scene] = []
    with workspace(
        folder, stand_in=lambda run: held[0].perform(run), limit=limit, **settings,
        clock=lambda: datetime.fromtimestamp(held[0].now if held else START, UTC),
    ) as cml:  # fmt: skip
        held.append(Scene(cml, folder))
        try:
            yield held[0]
        finally:
            with held[0].told:
                held[0].codes.update(dict.fromkeys(cml.state.runs, 0))
                held[0].told.notify_all()
