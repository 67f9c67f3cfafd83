"""Work that several jobs share, each doing one part: an evaluation, one job per combination (guide, Evaluation Job
Lifecycle, Multi-Adapter Dispatch).

The parts of a job have its key and attempt, and folders of their own in its folder. The part that ends last gathers
what all made into the result of the whole, so whoever waits for the job looks in one place.
"""

from __future__ import annotations

from studio.core.jobspec import EvaluationWork, JobSpec


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
    """The ``number``-th part, from 1 on."""
    return spec.model_copy(update={"part": number})
