"""Getting a job under way exactly once: the intent is committed first, and resolved by asking the backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from studio.apply.errand import Errand
from studio.apply.filing import filing
from studio.backends.base import Backend, Handle, JobState
from studio.core.errors import BackendError
from studio.core.job_keys import purpose
from studio.core.jobspec import JobSpec
from studio.core.references import Ref
from studio.state.base import ACTIVE, Run, RunStatus, StateStore

ENDED = {
    JobState.SUCCEEDED: RunStatus.SUCCEEDED,
    JobState.FAILED: RunStatus.FAILED,
    JobState.CANCELLED: RunStatus.CANCELLED,
}
"""What a run's status becomes when its job has ended."""


class UncertainError(BackendError):
    """Nobody can tell whether the job was started; its run stays an intent, and is never called failed."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """A job under way: its run as recorded, and the backend's handle."""

    run: Run
    handle: Handle


Work = tuple[str, str, str, str]
"""Kind, fingerprint, backend and purpose of a run: equal for runs of the same work, whatever they are called."""


@dataclass(slots=True)
class Submitter:
    """Starts jobs, and finds those that an earlier apply started. Every method may raise BackendError."""

    environment: str
    state: StateStore
    backend: Backend
    now: Callable[[], str]
    open: dict[Work, list[str]] | None = None
    """Keys of runs that were open when somebody first asked, and of those that were started here since. Nobody else
    starts any while the lease is held, so state is asked for all of them once."""

    def attach(self, errand: Errand) -> Submitted | None:
        """The job that an earlier apply left: still running, or ended with a result that nobody recorded.

        One that was killed while nobody watched left nothing to record but that; its run is closed.
        """
        earlier = self._left_open(errand.key) or self._same_work(errand)
        handle = self.backend.find(earlier.key, earlier.attempt) if earlier else None
        if earlier is None or handle is None:
            return None
        status = self.backend.poll(handle)
        if status.state is JobState.RUNNING or status.result:
            return Submitted(self._known(earlier, handle), handle)
        ended = replace(earlier, status=ENDED[status.state], finished_at=self.now(), error=status.message)
        self.state.save_run(ended)
        return None

    def compiled(self, errand: Errand) -> JobSpec:
        """The spec of the next attempt; an intent that never reached the backend is the next attempt."""
        intent = self._left_open(errand.key)
        if intent:
            return errand.spec(intent.attempt)
        earlier = self.state.attempts(errand.key)
        known = max(earlier[0].attempt if earlier else 0, self.backend.attempts(errand.key))
        return errand.spec(known + 1)

    def start(self, spec: JobSpec) -> Submitted:
        """Commit the intent, then submit. Raises BackendError when the job was refused, UncertainError when that is
        not known."""
        run = Run(
            spec.key, spec.attempt, self.environment, Ref(spec.kind, spec.name), spec.fingerprint, self.backend.name,
            RunStatus.INTENT, submitted_at=self.now(), filing=filing(spec),
        )  # fmt: skip
        self._open_keys().setdefault(_work(run), []).append(run.key)
        self.state.save_run(run)
        handle = self._submitted(run, spec)
        run = replace(run, status=RunStatus.SUBMITTED, handle=handle.details)
        self.state.save_run(run)
        return Submitted(run, handle)

    def _submitted(self, run: Run, spec: JobSpec) -> Handle:
        """The handle. A backend that complains may have started the job all the same, so it is asked."""
        try:
            return self.backend.submit(spec)
        except BackendError as error:
            try:
                handle = self.backend.find(spec.key, spec.attempt)
            except BackendError as silence:
                raise UncertainError(
                    f"{error.message}; whether the job was started is not known", silence.hint
                ) from error
            if handle is not None:
                return handle
            refused = replace(run, status=RunStatus.FAILED, finished_at=self.now(), error=error.message)
            self.state.save_run(refused)
            raise

    def _known(self, run: Run, handle: Handle) -> Run:
        """The run of a job that was found: an apply that was killed right after the submission noted no handle."""
        if run.status is RunStatus.SUBMITTED:
            return run
        submitted = replace(run, status=RunStatus.SUBMITTED, handle=handle.details)
        self.state.save_run(submitted)
        return submitted

    def _left_open(self, key: str) -> Run | None:
        """The latest run of the same work when nobody recorded its end, and this backend can be asked about it."""
        earlier = next(iter(self.state.attempts(key)), None)
        open_here = earlier and earlier.status in ACTIVE and earlier.backend == self.backend.name
        return earlier if open_here else None

    def _same_work(self, errand: Errand) -> Run | None:
        """A run of the same work under another name: the resource was renamed while its job ran."""
        work = (errand.ref.kind, errand.fingerprint, self.backend.name, purpose(errand.key))
        found = (self._left_open(key) for key in self._open_keys().get(work, ()))
        return next((run for run in found if run and run.environment == self.environment), None)

    def _open_keys(self) -> dict[Work, list[str]]:
        if self.open is None:
            self.open = {}
            for run in self.state.active():
                self.open.setdefault(_work(run), []).append(run.key)
        return self.open


def _work(run: Run) -> Work:
    return run.ref.kind, run.fingerprint, run.backend, purpose(run.key)
