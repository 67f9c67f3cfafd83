"""Work that several jobs share, each doing one part: an evaluation, one job per combination (guide, Evaluation Job
Lifecycle, Multi-Adapter Dispatch).

The parts of a job have its key and attempt, and folders of their own in its folder. The part that ends last gathers
what all made into the result of the whole, so whoever waits for the job looks in one place.
"""

from __future__ import annotations

from collections.abc import Sequence

from studio.core.event import Event
from studio.core.jobspec import EvaluationWork, JobSpec

ENDS = frozenset({"done", "failed", "stopped", "gather"})
"""Phases of events after which a part has nothing more to do."""


def count(spec: JobSpec) -> int:
    """How many jobs a spec's work may be shared by; 1 for work that cannot be divided."""
    return len(spec.work.combinations) if isinstance(spec.work, EvaluationWork) else 1


def may_have_parts(key: str) -> bool:
    """Whether the work of a key can be divided, as far as the key tells."""
    return key.startswith("evaluationjob-")


def parts(spec: JobSpec) -> tuple[JobSpec, ...]:
    """One spec for each part; the spec itself where there is only one. Each knows the whole work."""
    number = count(spec)
    return (spec,) if number == 1 else tuple(part(spec, each) for each in range(1, number + 1))


def part(spec: JobSpec, number: int) -> JobSpec:
    """The ``number``-th part, from 1 on; 0 for the whole."""
    return spec.model_copy(update={"part": number})


def is_possible(spec: JobSpec) -> bool:
    """Whether the work has the part that the spec is for."""
    return spec.part == 0 or (isinstance(spec.work, EvaluationWork) and 0 < spec.part <= count(spec))


def location(spec: JobSpec, name: str) -> str:
    """A file in the job's own folder, relative to the project."""
    return "/".join((spec.run_dir, *([spec.folder.name] if spec.part else []), name))


def title(spec: JobSpec, number: int) -> str:
    """What the ``number``-th part, from 1 on, is about: ``combination 2 (tiny-llama with ticket-router)``."""
    if not isinstance(spec.work, EvaluationWork):
        return spec.name
    combination = spec.work.combinations[number - 1]
    adapter = f" with {combination.adapter.name}" if combination.adapter else ""
    return f"combination {number} ({combination.model.name}{adapter})"


def progress(latest: Sequence[Event | None]) -> Event | None:
    """How far all parts are together, from the latest event of each; None while none has said anything.

    Every part works on the same rows, so one that says how many speaks for all. A part that ended has done its own.
    """
    heard = [event for event in latest if event]
    if not heard:
        return None
    newest = max(heard, key=lambda event: event.time)
    ended = sum(event.phase in ENDS for event in heard)
    rows = max((event.total or 0 for event in heard), default=0)
    done = sum(rows if event.phase in ENDS else event.step or 0 for event in heard)
    return Event(
        time=newest.time,
        phase="evaluate" if rows else newest.phase,
        message=f"{ended} of {len(latest)} parts ended",
        step=done if rows else None,
        total=rows * len(latest) if rows else None,
    )
