"""What all combinations of one evaluation share."""

from __future__ import annotations

from dataclasses import dataclass

from studio.core.jobspec import EvaluationWork, JobSpec
from studio.jobs.evaluation.harness import Harness
from studio.jobs.evaluation.judging import Judge
from studio.jobs.evaluation.questions import Questions
from studio.jobs.events import EventLog
from studio.jobs.model.devices import Device


@dataclass(slots=True)
class Session:
    """What all combinations of one job share; ``done`` counts rows answered so far, ``parameters`` are those of the
    largest base."""

    spec: JobSpec
    work: EvaluationWork
    questions: Questions
    device: Device
    events: EventLog
    judges: tuple[Judge, ...] = ()
    harness: Harness | None = None
    done: int = 0
    working_seconds: float = 0.0
    parameters: int = 0

    def answered(self, rows: int) -> None:
        """Tell how far the job is, over all its combinations."""
        self.done += rows
        combinations = 1 if self.spec.part else len(self.work.combinations)
        self.events.write("evaluate", step=self.done, total=len(self.questions.prompts) * combinations)
