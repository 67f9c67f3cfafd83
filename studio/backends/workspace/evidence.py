"""What a workspace knows of runs, one question a method. Each may raise BackendError."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import quote

from pydantic import ValidationError

from studio.backends import endings
from studio.backends.base import Handle, JobStatus
from studio.backends.workspace import log, standing
from studio.backends.workspace.calls import Calls, MissingError
from studio.backends.workspace.files import Files
from studio.backends.workspace.standing import Standing
from studio.core import beacons, parts
from studio.core.beacons import Beacon, Ended
from studio.core.errors import BackendError
from studio.core.event import Event
from studio.core.jobspec import RESULT_FILE, RUNS_FOLDER, SPEC_FILE, JobSpec
from studio.core.secrets import redact

TAIL_LINES, TAIL_WIDTH = 8, 300
"""Of a log's end that goes with a failure."""
TAIL_BYTES = 16 << 20
"""Of a log that is read for its end; the API gives files only from their beginning."""


@dataclass(slots=True)
class Evidence:
    calls: Calls
    files: Files
    _page: str = ""

    def lit(self) -> frozenset[str]:
        """Names of all beacons."""
        return frozenset(name for name, entry in self.files.within(beacons.FOLDER).items() if not entry.is_folder)

    def event(self, beacon: Beacon) -> Event | None:
        return beacons.heard(self._beacon(beacon))

    def end(self, beacon: Beacon) -> Ended | None:
        return beacons.heard_end(self._beacon(beacon.end))

    def _beacon(self, beacon: Beacon) -> bytes:
        """Nothing where it was taken away since it was seen: beacons are worth no more than that."""
        try:
            return self.files.read(beacon.path, beacons.LARGEST_BYTES + 1)
        except MissingError:
            return b""

    def standing(self, job_id: str, run_id: str, now: float) -> Standing:
        """What the engine says of a run."""
        client, project = self.calls.client, self.calls.project_id
        try:
            run = self.calls.ask(f"look at the run {run_id}", client.get_job_run, project, job_id, run_id)
        except MissingError:
            return standing.gone(now)
        return standing.of_run(run, now)

    def result(self, handle: Handle, part: int, progress: Event | None) -> JobStatus | None:
        """What the whole run's result says, or a part's; None where this attempt has left none."""
        where = f"{folder(handle, part)}/{RESULT_FILE}"
        entry = self.files.find(where)
        if entry is None:
            return None
        content = self.files.read(where, endings.LARGEST_BYTES + 1)
        if len(content) < min(entry.size, endings.LARGEST_BYTES):  # nobody must take half a result for a damaged one
            raise BackendError(f"the file {where} came only in part", "it is asked for again")
        return endings.of_result(content, handle, progress, f"{where} in the project of the workspace")

    def tail(self, handle: Handle, part: int) -> str:
        """The last lines of a log, without secrets; "" where there is none."""
        path = log.path(folder(handle, 0), part)
        entry = self.files.find(path)
        if entry is None or entry.size > TAIL_BYTES:
            return ""
        return last_lines(self.files.read(path, TAIL_BYTES))

    def spec(self, handle: Handle, part: int) -> JobSpec | None:
        """What a job was asked to do, as its worker wrote it down; None where it did not come to that, or where
        something else is written there."""
        path = f"{folder(handle, part)}/{SPEC_FILE}"
        if self.files.find(path) is None:
            return None
        try:
            spec = JobSpec.model_validate_json(self.files.read(path, endings.LARGEST_BYTES))
        except ValidationError:
            return None
        return spec if (spec.key, spec.part) == (handle.key, part) and parts.is_possible(spec) else None

    def discard(self, folder: str) -> None:
        """Delete a run's folder, and the beacons of all its attempts."""
        self.files.delete(folder)
        for name in sorted(self.lit()):
            beacon = beacons.parse(name)
            if beacon and beacon.key == PurePosixPath(folder).name:
                self.files.delete(beacon.path)

    def page(self, job_id: str) -> str:
        """The address of the page that lists the project's jobs; the workspace's own where that is not known.

        A job's own page has a number in its address that the API does not give.
        """
        if not self._page:
            self._page = self.calls.url
            calls, project, client = self.calls.apart(), self.calls.project_id, self.calls.client
            try:
                owner = calls.ask("look at the project", client.get_project, project).owner
                short = calls.ask(f"look at the job {job_id}", client.get_job, project, job_id).project
            except BackendError:
                return self._page
            slug = str(getattr(short, "slug", None) or "")
            slug = slug if "/" in slug else f"{getattr(owner, 'username', None) or ''}/{slug}"
            if all(slug.partition("/")):
                self._page = f"{self.calls.url}/{quote(slug)}/jobs"
        return self._page


def folder(handle: Handle, part: int = 0) -> str:
    """Where a run, or a part of it, keeps its files, relative to the project."""
    whole = f"{RUNS_FOLDER}/{handle.key}"
    return f"{whole}/part-{part}" if part else whole


def last_lines(content: bytes) -> str:
    """The end of a log, without secrets and of bounded width."""
    lines = [line for line in redact(content.decode(errors="replace")).replace("\r", "\n").split("\n") if line.strip()]
    return "\n".join(line[:TAIL_WIDTH] for line in lines[-TAIL_LINES:])
