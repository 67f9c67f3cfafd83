"""The figures of an apply in a workspace of which a part of all calls fails."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.fakes.workspace.traffic import asked_again_after_a_refusal
from tests.workspace.desk import SECRETS, SUBMITTING, TOKEN, Desk, comparison, desk, trainings


@dataclass(frozen=True, slots=True)
class Figures:
    """``jobs`` counts those of the workspace. What should be once is counted by how often it is: ``{1: jobs}``."""

    jobs: int
    code: int
    said: str = field(repr=False)
    plan: int
    """Exit code of ``plan --detailed-exitcode`` after it."""
    created: Counter[int]
    ran: Counter[int]
    performed: Counter[int]
    again: list[str]
    """Requests that were repeated after a 4xx."""
    calls: Counter[str]
    failed: int
    """Calls that a fault was injected into."""
    slept: float
    """Seconds of pauses before calls that were made again."""
    leaks: dict[str, Counter[str]]
    """Methods of the calls that carried a secret, by its variable."""

    @property
    def submitting(self) -> float:
        """Calls for each job that got it under way."""
        return sum(count for method, count in self.calls.items() if method in SUBMITTING) / self.jobs

    @property
    def faults(self) -> list[str]:
        """What is not as it should be, in words."""
        once = Counter({1: self.jobs})
        found = {
            f"apply ended with {self.code}: {self.said[-400:]}": self.code != 0,
            f"the plan after it is not empty ({self.plan})": self.plan != 0,
            f"jobs of one name: {dict(self.created)}": self.created != once,
            f"runs of one attempt: {dict(self.ran)}": self.ran != once,
            f"attempts performed: {dict(self.performed)}": self.performed != once,
            f"repeated after a 4xx: {self.again[:3]}": bool(self.again),
            f"secrets in {self.leaks}": any(set(methods) - {"create_job_run"} for methods in self.leaks.values())
            or bool(self.leaks["AWS_SECRET_ACCESS_KEY"] or self.leaks["the key"]),
        }  # fmt: skip
        return [words for words, is_so in found.items() if is_so]


def measure(folder: Path, jobs: int, failing: float, seed: int = 0, parallelism: int = 8) -> Figures:
    """Apply ``jobs`` jobs, three of which share an evaluation, while a share of all calls fails."""
    documents = [*trainings(jobs - 3), comparison("adapter-000", "adapter-001")]
    with desk(folder, documents, limit=parallelism) as made:
        made.cml.faults.at_random(failing, seed)
        code, said = made.studio("apply", "--yes", "--offline", "--parallelism", str(parallelism))
        made.cml.faults.clear()
        calls = list(made.cml.calls)
        plan, _ = made.studio("plan", "--detailed-exitcode")
        return Figures(
            jobs, code, said, plan,
            Counter(made.jobs().values()), Counter(made.runs().values()), Counter(made.performed.values()),
            asked_again_after_a_refusal(calls), Counter(call.method for call in calls),
            sum(bool(call.fault) for call in calls), made.clock.slept, _leaks(made),
        )  # fmt: skip


def _leaks(made: Desk) -> dict[str, Counter[str]]:
    values = {**SECRETS, "STUDIO_MLFLOW": "planted-password", "the key": made.cml.key}
    assert values["HUGGINGFACE_ACCESS_TOKEN"] == TOKEN
    return {name: made.carrying(value) for name, value in values.items()}
