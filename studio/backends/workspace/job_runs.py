"""What is done by jobs of the workspace: started, found and stopped as jobs, watched by what they leave."""

from __future__ import annotations

import time
from dataclasses import dataclass

from studio.backends.base import Handle, JobStatus
from studio.backends.workspace import log
from studio.backends.workspace.evidence import folder
from studio.backends.workspace.jobs import Jobs
from studio.backends.workspace.log import WorkspaceLog
from studio.backends.workspace.watching import Watching
from studio.core.jobspec import JobSpec


@dataclass(frozen=True, slots=True)
class JobRuns:
    """Every method may raise BackendError."""

    jobs: Jobs
    watching: Watching

    def submit(self, spec: JobSpec) -> Handle:
        return self.jobs.submit(spec)

    def find(self, key: str, attempt: int) -> Handle | None:
        return self.jobs.find(key, attempt)

    def attempts(self, key: str) -> int:
        return self.jobs.attempts(key)

    def poll(self, handle: Handle) -> JobStatus:
        return self.watching.poll(handle)

    def cancel(self, handle: Handle) -> None:
        self.jobs.cancel(handle)
        self.watching.hurry(handle)

    def log(self, handle: Handle) -> WorkspaceLog:
        return log.opened(self.watching.evidence.files, time.monotonic, folder(handle), len(handle.details["jobs"]))

    def holds(self, location: str) -> bool:
        found = self.watching.evidence.files.find(location)
        return found is not None and not found.is_folder

    def discard(self, folder: str) -> None:
        """Delete a run's folder and the run's beacons."""
        with self.jobs.calls.budget():
            self.watching.evidence.discard(folder)
