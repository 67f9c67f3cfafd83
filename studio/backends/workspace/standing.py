"""Where the run of one CML job stands, by what the workspace's engine says of it (``EngineStatus``)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from studio.backends.workspace.templates import moment
from studio.core.event import Event

CROWDED_SECONDS = 60.0
"""A run that has not been placed by then waits for something to become free."""


class Engine(StrEnum):
    """EngineStatus without its prefix, and GONE for a run that the workspace does not know."""

    SCHEDULING = "SCHEDULING"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    UNKNOWN = "UNKNOWN"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    TIMEDOUT = "TIMEDOUT"
    GONE = "GONE"


OVER = frozenset({Engine.STOPPED, Engine.SUCCEEDED, Engine.FAILED, Engine.TIMEDOUT, Engine.GONE})
_PHASES = {
    Engine.SCHEDULING: "scheduling",
    Engine.STARTING: "starting",
    Engine.RUNNING: "starting",
    Engine.STOPPING: "stopping",
}
_ENDS = {
    Engine.STOPPED: "the run was stopped in the workspace",
    Engine.SUCCEEDED: "the job ended without a result",
    Engine.FAILED: "the job failed before it could say why",
    Engine.TIMEDOUT: "the job ran longer than the workspace lets it",
    Engine.GONE: "the run is not in the workspace any more, and left no result",
}


@dataclass(frozen=True, slots=True)
class Standing:
    """What the engine said. ``since`` is when it came to that, in seconds since the epoch, as far as that is known."""

    engine: Engine
    since: float
    gpus: int = 0

    @property
    def is_over(self) -> bool:
        return self.engine in OVER

    @property
    def end(self) -> str:
        """Why there is no result, in words."""
        return _ENDS.get(self.engine, "the job ended without a result")

    def phase(self, now: float) -> Event | None:
        """For people, while the job has not told anything itself; of an unknown state there is nothing to tell."""
        if self.engine is Engine.SCHEDULING and now - self.since >= CROWDED_SECONDS:
            what = "a GPU" if self.gpus else "free CPU and memory"
            return Event(time=self.since + CROWDED_SECONDS, phase="waiting", message=f"for {what} in the workspace")
        word = _PHASES.get(self.engine)
        return Event(time=self.since, phase=word) if word else None


def of_run(run: Any, now: float) -> Standing:
    """The standing of a JobRun."""
    engine = _engine(getattr(run, "status", None))
    told = {Engine.SCHEDULING: "scheduling_at", Engine.STARTING: "starting_at", Engine.RUNNING: "running_at"}
    field = "finished_at" if engine in OVER else told.get(engine, "")
    gpus = getattr(run, "nvidia_gpu", None)
    since = min(now, moment(getattr(run, field, None) if field else None))  # now, where the workspace does not say
    return Standing(engine, since, gpus if type(gpus) is int else 0)


def gone(now: float) -> Standing:
    return Standing(Engine.GONE, now)


def _engine(status: Any) -> Engine:
    """An engine's state of another version of the API is unknown."""
    name = str(status).rpartition("ENGINE_")[2].upper()
    return Engine(name) if name in Engine.__members__ and name != Engine.GONE else Engine.UNKNOWN
