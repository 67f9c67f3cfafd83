"""What jobs will take, estimated from recorded runs, and what reuse spares. Pure.

The time of a run has a part that grows with the rows that are worked on, and one that does not (loading, saving). A run
of the same model with the same settings on the same kind of machine says both; where there is none, nothing is said.
Jobs that share a work load for themselves; their seconds are told in sum, so that times resources they are its hours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from studio.core.jobspec import Resources
from studio.plan.workload import ALIKE, Measured, Workload, measured
from studio.state.base import Artifact

MOST = 20
"""Runs that an estimate rests on at most; the newest count."""
HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Hours:
    """What was asked for, times how long: of CPU cores, of GPUs, and of memory in GB."""

    cpu: float = 0.0
    gpu: float = 0.0
    memory: float = 0.0

    def __add__(self, other: Hours) -> Hours:
        return Hours(self.cpu + other.cpu, self.gpu + other.gpu, self.memory + other.memory)


@dataclass(frozen=True, slots=True)
class Spend:
    """What a job takes, or what its reuse spares. ``seconds`` are None where nobody can tell, and those of all ``jobs``
    in sum where several share the work, each with the same resources.

    ``least`` and ``most`` are what single runs foretell; ``runs`` is how many there were, 0 for what was measured.
    """

    cpu: int
    gpu: int
    memory: int
    """In GB; all three with what distributed workers ask for."""
    seconds: float | None = None
    least: float = 0.0
    most: float = 0.0
    runs: int = 0
    same_rows: bool = False
    jobs: int = 1

    @property
    def hours(self) -> Hours:
        """Of an unknown time none."""
        hours = (self.seconds or 0.0) / HOUR
        return Hours(self.cpu * hours, self.gpu * hours, self.memory * hours)


@dataclass(frozen=True, slots=True)
class Bill:
    """Many spends in sum; of ``unknown`` of the ``jobs`` the time is not known."""

    jobs: int
    unknown: int
    hours: Hours


NOTHING = Bill(0, 0, Hours())


@dataclass(frozen=True, slots=True)
class Account:
    """After an apply: what its jobs took, what was foreseen of the same jobs, and what reuse saved."""

    real: Bill = NOTHING
    foreseen: Bill = NOTHING
    saved: Bill = NOTHING


@dataclass(frozen=True, slots=True)
class Run:
    """A recorded run: when it was filed, the seconds it took over all attempts, and what it worked on."""

    filed: str
    seconds: float
    work: Measured

    def predict(self, work: Workload, rows: int | None) -> float | None:
        """Seconds that ``work`` would have taken at this run's pace; ``rows`` are all of its data set, if known."""
        mine, its = _volume(work, rows, self.work), self.work.volume(self.work.rows)
        if mine is None or its <= 0:
            return None
        working = min(self.work.working_seconds, self.seconds)
        return (self.seconds - working) * work.loads / self.work.loads + working * mine / its


@dataclass(slots=True)
class Past:
    """Recorded runs by what they have in common."""

    runs: dict[tuple[Any, ...], list[Run]] = field(default_factory=dict)

    def estimate(self, work: Workload, asked: Resources, rows: int | None) -> Spend:
        """What a job will take; runs on the same rows count alone where there are any."""
        alike = self.runs.get((*_traits(work), *_place(work, asked, asked.gpu > 0)), [])
        same = [run for run in alike if run.work.dataset == work.dataset]
        chosen = sorted(same or alike, key=lambda run: (run.filed, run.seconds))[-MOST:]
        found = sorted(seconds for run in chosen if (seconds := run.predict(work, rows)) is not None)
        if not found:
            return asking(asked, jobs=work.parts)
        middle = (found[(len(found) - 1) // 2] + found[len(found) // 2]) / 2
        foretold = asking(asked, middle, work.parts)
        return replace(foretold, least=found[0], most=found[-1], runs=len(found), same_rows=bool(same))


def past(artifacts: Iterable[Artifact]) -> Past:
    """Recorded runs that measured what their duration depends on."""
    found = Past()
    for artifact in artifacts:
        work, asked = measured(artifact.measures), _resources(artifact.resources)
        if work and asked:
            run = Run(artifact.created_at, artifact.seconds + work.earlier_seconds, work)
            found.runs.setdefault((*_traits(work), *_place(work, asked, work.device != "cpu")), []).append(run)
    return found


def asking(asked: Resources, seconds: float | None = None, jobs: int = 1) -> Spend:
    """A spend of what a job asks for, over all its workers, and each of ``jobs`` that share the work."""
    others = asked.workers - 1
    return Spend(
        asked.cpu + others * (asked.dist_cpu or 0),
        asked.gpu + others * (asked.dist_gpu or 0),
        asked.memory + others * (asked.dist_memory or 0),
        seconds,
        jobs=jobs,
    )


def spared(artifact: Artifact) -> Spend | None:
    """What it took to make an artifact; None where the record does not say."""
    work, asked = measured(artifact.measures), _resources(artifact.resources)
    if asked is None or artifact.seconds <= 0:
        return None
    earlier, jobs = (work.earlier_seconds, work.parts) if work else (0.0, 1)
    return asking(asked, artifact.seconds + earlier, jobs)


def bill(spends: Iterable[Spend]) -> Bill:
    """The sum; what is not known counts as nothing, and is counted."""
    listed = list(spends)
    unknown = sum(each.jobs for each in listed if each.seconds is None)
    return Bill(sum(each.jobs for each in listed), unknown, sum((each.hours for each in listed), Hours()))


def spend_json(spend: Spend | None) -> dict[str, Any] | None:
    """A spend as data; hours are null where the time is not known."""
    if spend is None:
        return None
    known = spend.seconds is not None
    return {
        "jobs": spend.jobs,
        "cpu": spend.cpu,
        "gpu": spend.gpu,
        "memory_gb": spend.memory,
        "seconds": spend.seconds,
        "least_seconds": spend.least if spend.runs else None,
        "most_seconds": spend.most if spend.runs else None,
        "runs": spend.runs,
        "same_rows": spend.same_rows,
        **(hours_json(spend.hours) if known else dict.fromkeys(hours_json(Hours()))),
    }


def bill_json(bill: Bill) -> dict[str, Any]:
    """A sum as data; what is not known is not in it."""
    return {"jobs": bill.jobs, "unknown_jobs": bill.unknown, **hours_json(bill.hours)}


def hours_json(hours: Hours) -> dict[str, float]:
    return {"cpu_hours": hours.cpu, "gpu_hours": hours.gpu, "memory_gb_hours": hours.memory}


def _traits(work: Workload) -> tuple[Any, ...]:
    return tuple(getattr(work, name) for name in ALIKE)


def _place(work: Workload, asked: Resources, on_gpu: bool) -> tuple[Any, ...]:
    """What of a machine decides its pace: how many of the devices it computes on. An export only copies."""
    if work.task == "export":
        return ()
    return ("gpu", asked.gpu) if on_gpu else ("cpu", asked.cpu)


def _volume(work: Workload, rows: int | None, run: Measured) -> float | None:
    """How much ``work`` there is; rows that nobody counted are those that a run on the same data set counted."""
    if work.shown or work.task == "export":
        return work.volume(0)
    if rows is not None:
        return work.volume(rows * work.share)
    if run.dataset == work.dataset and run.share > 0:
        return work.volume(run.rows * work.share / run.share)
    return None


def _resources(kept: Mapping[str, Any]) -> Resources | None:
    try:
        return Resources.model_validate(kept)
    except ValidationError:
        return None
