"""Room for jobs: how many at once, and what the backend has free."""

from __future__ import annotations

from dataclasses import dataclass, replace

from studio.backends.base import Backend, Capacity
from studio.core.errors import BackendError
from studio.core.jobspec import Resources


@dataclass(slots=True)
class Room:
    """What may start in this round. The backend is asked once a round, however many jobs wait."""

    backend: Backend
    parallelism: int
    _free: Capacity | None = None
    _silence: BackendError | None = None

    def renew(self) -> None:
        """Begin a round: what was known is out of date."""
        self._free = self._silence = None

    def lacking(self, asked: Resources, running: int) -> str:
        """What a job must wait for beside ``running`` others of ours; "" when it may start. Raises BackendError.

        What could never start here is let in once nothing of ours runs, to fail with the backend's reason.
        """
        if running >= self.parallelism:
            return f"one of {running} jobs to end (--parallelism {self.parallelism})"
        fits = self._capacity().fits(asked) or (running == 0 and asked.gpu > self.backend.total().gpu)
        return "" if fits else "free CPU, memory or GPU"

    def take(self, asked: Resources) -> None:
        """Note that a job was started in this round."""
        if self._free:
            free = self._free
            left = (free.cpu - asked.cpu, free.gpu - asked.gpu, free.memory - asked.memory)
            self._free = replace(free, cpu=left[0], gpu=left[1], memory=left[2], idle=False)

    def _capacity(self) -> Capacity:
        if self._silence:
            raise self._silence
        if self._free is None:
            try:
                self._free = self.backend.capacity()
            except BackendError as error:
                self._silence = error
                raise
        return self._free
