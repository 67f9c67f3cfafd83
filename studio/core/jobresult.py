"""What a job leaves behind: its result, with the output of its kind of work or the reason why there is none."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from studio.core.course import Course
from studio.core.endpoint import AdjustmentOutput, DeploymentOutput, WithdrawalOutput
from studio.core.jobspec import SPEC_VERSION
from studio.core.kept import Kept
from studio.core.metric_names import gain
from studio.core.record import Record
from studio.core.registered import Registered, Unregistering
from studio.core.sweeps import SweepOutput


class EarlyStop(Record):
    """Why training ended before its last step: none of ``patience`` evaluations in a row brought ``metric`` below
    ``best``, which it was at ``best_step``, by more than ``min_delta``."""

    step: int
    steps: int
    """That the whole training would have had."""
    metric: str = "eval_loss"
    best: float
    best_step: int
    patience: int
    min_delta: float = 0.0

    @property
    def words(self) -> str:
        """On one line."""
        fall = f"fall by more than {self.min_delta:g} below" if self.min_delta else "fall below"
        when = f"step {self.step} of {self.steps} (patience {self.patience})"
        return f"stopped early at {when}: {self.metric} did not {fall} the {self.best:.4f} of step {self.best_step}"


class TrainingOutput(Record):
    """``adapter`` is a location, ``copies`` are others of the same; losses are mean per token in nats."""

    task: Literal["training"] = "training"
    adapter: str
    digest: str
    metrics: dict[str, float]
    train_rows: int
    held_out_rows: int
    curve: str = ""
    """Location of a picture of the course, as PNG."""
    course: Course = Course()
    """Thinned: events hold every step that was told, but they stay where the job ran."""
    copies: tuple[str, ...] = ()
    model_family: str = ""
    stopped: EarlyStop | None = None
    conditions: dict[str, str] = Field(default_factory=dict)
    """What the weights depend on beside the spec and its inputs: seeds, device, threads, versions of libraries."""
    kept: Kept | None = None
    place: str = ""
    """In which workspace it was made, by the name of the backend; "" on a machine's own disk. No job knows that."""
    sweep: SweepOutput | None = None
    """Of a sweep, all else is its best trial's."""

    @field_validator("stopped", mode="before")
    @classmethod
    def _without_words(cls, stopped: object) -> object:
        """Before there were numbers, results held a sentence, or ""."""
        return None if isinstance(stopped, str) else stopped


FEW_ROWS = 30
"""A slice with fewer rows is marked: chance moves its metrics by more than most changes do."""


class Interval(Record):
    """Where a number lies, from rows like these, with this confidence (two-sided)."""

    confidence: float
    low: float
    high: float


class SliceOutput(Record):
    """What a combination made of the rows that have ``value`` in ``column``."""

    column: str
    value: str
    rows: int
    metrics: dict[str, float]
    intervals: dict[str, Interval] = Field(default_factory=dict)
    """Of metrics that are of rows."""

    @property
    def is_few(self) -> bool:
        """Whether there are too few rows to say much."""
        return self.rows < FEW_ROWS


class CombinationOutput(Record):
    """One row of the comparison table."""

    model: str
    adapter: str = ""
    metrics: dict[str, float]
    intervals: dict[str, tuple[Interval, ...]] = Field(default_factory=dict)
    """Of metrics that are of rows, at every level of ``core.confidence``."""
    slices: tuple[SliceOutput, ...] = ()
    confusion: str = ""
    """Location of the confusion matrix as CSV, where the expected answers are classes; beside it a PNG."""
    scores: str = ""
    """Location of what each row contributes to each metric."""
    predictions: str = ""
    judgements: str = ""
    """Location of what the judges said of each row as CSV, where there are any."""
    mlflow_run_id: str = ""


class Difference(Record):
    """What ``combination`` gains over an earlier one, ``than``, on the same rows; both are positions."""

    metric: str
    combination: int
    than: int
    gain: float
    """Above 0 is an improvement, whatever the metric's direction."""
    intervals: tuple[Interval, ...]
    p_value: float
    """Of a gain of 0, two-sided."""
    test: Literal["paired bootstrap", "McNemar", "exact"]

    def turned(self) -> Difference:
        """What the earlier one gains over this."""
        ends = tuple(Interval(confidence=each.confidence, low=-each.high, high=-each.low) for each in self.intervals)
        change = {"combination": self.than, "than": self.combination, "gain": -self.gain, "intervals": ends}
        return self.model_copy(update=change)


class EvaluationOutput(Record):
    """Combinations in the order of the manifest; the first is the baseline. Of a job that did a part, its own."""

    task: Literal["evaluation"] = "evaluation"
    combinations: tuple[CombinationOutput, ...]
    rows: int
    selection: str = ""
    """Digest of which rows were asked, and what: metrics of equal selections may be compared."""
    chart: str = ""
    differences: tuple[Difference, ...] = ()

    @property
    def metrics(self) -> tuple[str, ...]:
        """Those that any combination has."""
        return tuple(dict.fromkeys(name for each in self.combinations for name in each.metrics))

    def difference(self, metric: str, combination: int, than: int = 0) -> Difference | None:
        """As recorded, one way round or the other."""
        for each in (each for each in self.differences if each.metric == metric):
            if (each.combination, each.than) == (combination, than):
                return each
            if (each.than, each.combination) == (combination, than):
                return each.turned()
        return None

    def gain(self, metric: str, combination: int, than: int = 0) -> float | None:
        """Above 0 is an improvement. Of rows that both have a score of, as far as that was compared."""
        compared = self.difference(metric, combination, than)
        value, base = (self.combinations[number].metrics.get(metric) for number in (combination, than))
        if compared or value is None or base is None:
            return compared.gain if compared else None
        return gain(metric, value, base)


class GgufFile(Record):
    """A file for llama.cpp. ``path`` is in the registered version, ``digest`` SHA-256 of the file."""

    path: str
    type: str
    digest: str
    bytes: int
    tensors: int


class ExportOutput(Record):
    """``uri`` loads with ``mlflow.pyfunc.load_model``; ``source`` is where MLflow says that the version's files are."""

    task: Literal["export"] = "export"
    model_name: str
    model_version: str
    uri: str
    digest: str = ""
    source: str = ""
    description: str = ""
    gguf: GgufFile | None = None
    registered: Registered | None = None
    """In the workspace's registry too, where it was exported in one that has any."""
    remark: str = ""
    """Why it is not registered there."""
    versions: dict[str, str] = Field(default_factory=dict)
    """Of the libraries that made it."""


class RemovalOutput(Record):
    """``was_there`` is false when somebody else had deleted the version already."""

    task: Literal["removal"] = "removal"
    model_name: str
    model_version: str
    was_there: bool
    unregistering: Unregistering | None = None
    """What the backend is to take out of the workspace's registry now."""
    remark: str = ""
    """Why that stays there."""


class RevisionOutput(Record):
    """``changes`` says in words what was changed; empty when everything was as it should be."""

    task: Literal["revision"] = "revision"
    changes: tuple[str, ...] = ()


JobOutput = TrainingOutput | EvaluationOutput | ExportOutput | RemovalOutput | RevisionOutput
Output = Annotated[JobOutput | DeploymentOutput | AdjustmentOutput | WithdrawalOutput, Field(discriminator="task")]


class Failure(Record):
    """Why a job failed, in the words a user can act on; ``bug`` when studio itself is at fault."""

    message: str
    hint: str = ""
    bug: bool = False


class Measures(Record):
    """What a job's duration depends on, as far as only the job itself knows it; 0 and "" where it has no meaning."""

    device: str = ""
    """``cpu``, or the name of the GPU."""
    rows: int = 0
    steps: int = 0
    tokens: int = 0
    parameters: int = 0
    """Of the base model and the adapter."""
    bytes: int = 0
    """Of what an export stored."""
    working_seconds: float = 0.0
    """The part of the time that grows with the rows, over all attempts; loading and saving are not in it."""
    earlier_seconds: float = 0.0
    """What attempts before this one worked; the result's ``seconds`` do not hold it."""
    parts: int = 1
    """Jobs that shared the work, each with the resources of the spec; seconds are those of all of them in sum."""


class JobResult(Record):
    """What a job leaves behind, written last and atomically."""

    version: Literal[1] = SPEC_VERSION
    key: str
    attempt: int
    fingerprint: str
    output: Output | None = None
    failure: Failure | None = None
    mlflow_run_id: str = ""
    mlflow_experiment_id: str = ""
    measures: Measures = Measures()
    started_at: str
    finished_at: str
    seconds: float
