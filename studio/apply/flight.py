"""A job under way, and looking at it with patience."""

from __future__ import annotations

from dataclasses import dataclass

from studio.apply.errand import Errand
from studio.apply.patience import Patience
from studio.apply.submission import Submitted
from studio.backends.base import Backend, JobStatus
from studio.core.errors import BackendError, RefusedError
from studio.core.event import Event
from studio.plan.actions import Action


@dataclass(slots=True)
class Flight:
    """One action's job."""

    action: Action
    errand: Errand
    job: Submitted
    patience: Patience
    attached: bool = False
    """An earlier apply had started it."""
    silence: BackendError | None = None
    """Why the backend did not answer when it was asked last."""
    _last: float = 0.0
    """Time of the latest event shown; events of an earlier attempt are older than the submission."""

    def __post_init__(self) -> None:
        if not self.attached:
            self._last = self.patience.clock()

    @property
    def is_lost(self) -> bool:
        """Whether waiting for an answer makes no sense: it has not come for long, or the backend refuses to give it."""
        refused = isinstance(self.silence, RefusedError)
        return refused or (self.silence is not None and self.patience.is_exhausted)

    def look(self, backend: Backend) -> JobStatus | None:
        """Where the job stands; None while the backend does not answer, or is not to be asked again yet."""
        if not self.patience.is_due:
            return None
        try:
            status = backend.concluded(backend.poll(self.job.handle))
        except BackendError as error:
            self.silence = error
            self.patience.was_ignored()
            return None
        self.silence = None
        self.patience.answered()
        return status

    def news(self, status: JobStatus) -> Event | None:
        """The latest event, when it was not seen before."""
        event = status.progress
        if event is None or event.time <= self._last:
            return None
        self._last = event.time
        return event
