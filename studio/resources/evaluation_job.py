"""EvaluationJob: compares model and adapter combinations on rows that training did not see."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as member
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Strict, WithJsonSchema

from studio.core.confidence import CONFIDENCES
from studio.core.judge_names import NAME, SCALE
from studio.core.metric_names import EVALUATION_METRICS
from studio.resources.base import DESCRIPTIVE, OUTCOME, PLACEMENT, ConfigValue, Part, Resource, Spec, field
from studio.resources.scope import Scope

if TYPE_CHECKING:
    from studio.core.harness_tasks import HarnessWork
    from studio.core.jobspec import EvaluationWork, Resources
    from studio.core.judging import JudgeWork
    from studio.core.needs import Configs, Need


class EvaluationType(StrEnum):
    """Guide, Type Enums (EvaluationJobType)."""

    MLFLOW = "mlflow"


class ModelAdapterCombination(Part):
    base_model: str = field(OUTCOME, "The model to evaluate.", "", references="Model", required=True)
    adapter: str = field(OUTCOME, "The adapter to apply; empty for the base model alone.", "", references="Adapter")


class Gate(Part):
    """A condition on one metric of one combination; re-decided from recorded metrics, never by running again."""

    metric: str = field(
        DESCRIPTIVE, "The metric that is judged, or a judge.", "", examples=list(EVALUATION_METRICS), required=True
    )
    adapter: str = field(DESCRIPTIVE, "The combination's adapter; empty for the base model alone.", "")
    base_model: str = field(DESCRIPTIVE, "The combination's base model, when the adapter alone is ambiguous.", "")
    min: float | None = field(DESCRIPTIVE, "The metric must be at least this.")
    max: float | None = field(DESCRIPTIVE, "The metric must be at most this.")
    min_gain_over_baseline: float | None = field(DESCRIPTIVE, "At least this much above the first combination.")
    not_worse_than: str = field(
        DESCRIPTIVE, "Must not be worse than this one: baseline, or the adapter or base model of a combination.", ""
    )
    tolerance: float | None = field(DESCRIPTIVE, "By how much it may be worse all the same; 0 if not said.", minimum=0)
    confidence: float | None = field(
        DESCRIPTIVE, "Judge the end of the interval at this level, not the number itself.", enum=list(CONFIDENCES)
    )


class Judge(Part):
    """A language model that scores every answer; the score is a metric of that name."""

    name: str = field(OUTCOME, "Name of the metric.", "", pattern=NAME.pattern.replace(r"\Z", "$"), required=True)
    model: str = field(OUTCOME, "The judge, by the name that its service knows it by.", "", required=True)
    endpoint: str = field(
        OUTCOME,
        "Which service: its address is in STUDIO_JUDGE_URL, of one called house in STUDIO_JUDGE_URL_HOUSE.",
        "",
    )
    definition: str = field(OUTCOME, "What is judged, in words.", "", required=True)
    grading: str = field(OUTCOME, "What deserves which score, in words.", "")
    scale: Annotated[tuple[int, ...], Strict(False)] = field(
        OUTCOME, "The lowest and the highest score; higher is better.", SCALE, minItems=2, maxItems=2
    )
    sample: int | None = field(OUTCOME, "Judge so many rows at most, the same for all combinations.", minimum=1)
    parameters: dict[str, Any] | None = field(
        OUTCOME, "Parameters of the request beside temperature 0 and max_tokens 512; null leaves one of these out."
    )


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


_NAMES = {"type": "array", "items": {"type": "string"}}
OneOrMore = Annotated[
    tuple[str, ...],
    Strict(False),
    BeforeValidator(_listed),
    WithJsonSchema({"anyOf": [{"type": "string"}, _NAMES]}, mode="validation"),
]
"""Names; a single one needs no list."""


class EvaluationJobSpec(Spec):
    type: str = field(OUTCOME, "Kind of evaluation.", "mlflow", enum=[str(t) for t in EvaluationType])
    model_adapter_combinations: Annotated[tuple[ModelAdapterCombination, ...], Strict(False)] = field(
        OUTCOME, "What to compare; the first one is the baseline.", (), minItems=1, nested=True, required=True
    )
    dataset: str = field(OUTCOME, "The rows to evaluate on.", "", references="Dataset", required=True)
    prompt: str = field(
        OUTCOME, "How rows become questions and expected answers.", "", references="Prompt", required=True
    )
    metrics: Annotated[tuple[str, ...], Strict(False)] = field(
        OUTCOME, "What to compute.", ("exact_match", "rougeL", "latency"), items={"enum": list(EVALUATION_METRICS)}
    )
    gates: Annotated[tuple[Gate, ...], Strict(False)] = field(DESCRIPTIVE, "What must hold for exports to go on.", ())
    eval_dataset_fraction: float = field(OUTCOME, "Share of the held-out rows.", 1.0, exclusiveMinimum=0, maximum=1)
    selected_features: Annotated[tuple[str, ...], Strict(False)] = field(
        OUTCOME, "Columns carried into the predictions file.", ()
    )
    slice_by: OneOrMore = field(
        OUTCOME, "Columns, or one column: metrics are also computed of the rows with each of its values.", ()
    )
    judges: Annotated[tuple[Judge, ...], Strict(False)] = field(
        OUTCOME, "Language models that score the answers; none unless asked for.", (), nested=True
    )
    tasks: Annotated[tuple[str, ...], Strict(False)] = field(
        OUTCOME, "Tasks of lm-evaluation-harness, by name; their metrics are named task/metric.", ()
    )
    tasks_dir: str = field(OUTCOME, "A folder of the project with task files of your own, and their rows.", "")
    num_fewshot: int | None = field(OUTCOME, "Examples in front of each question of a task.", minimum=0)
    limit: int | None = field(OUTCOME, "Ask so many rows of each task at most.", minimum=1)
    generation_config: ConfigValue = field(
        OUTCOME, "How answers are generated.", config="generation_config", default_config=True
    )
    model_bnb_config: ConfigValue = field(OUTCOME, "Quantisation of the base models.", config="bitsandbytes_config")
    adapter_bnb_config: ConfigValue = field(OUTCOME, "Quantisation used with adapters.", config="bitsandbytes_config")
    num_cpu: int | None = field(PLACEMENT, "CPU cores.", minimum=1, required=True)
    num_gpu: int | None = field(PLACEMENT, "GPUs.", minimum=0, required=True)
    num_memory: int | None = field(PLACEMENT, "Memory in GB.", minimum=1, required=True)
    gpu_label_id: int | None = field(PLACEMENT, "Accelerator label on CML.", minimum=0)

    def computed(self) -> tuple[str, ...]:
        """Every metric that there will be, those of judges among them; tasks have more, named after them."""
        return (*self.metrics, *(each.name for each in self.judges if each.name))

    def is_of_task(self, metric: str) -> bool:
        """Whether it is named as the metric of a task. Which ones a task has, only lm_eval knows."""
        task, _, name = metric.partition("/")
        return bool(name) and task in self.tasks


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """The files in a folder of tasks: project-relative name to SHA-256."""

    files: Mapping[str, str] = member(default_factory=dict)


class EvaluationJob(Resource):
    is_job: ClassVar[bool] = True
    kind: Literal["EvaluationJob"] = "EvaluationJob"
    spec: EvaluationJobSpec


def compile(job: EvaluationJob, scope: Scope) -> EvaluationWork:
    """The work of a job that passed every rule."""
    from studio.core.jobspec import Combination, EvaluationWork

    spec = job.spec
    base = spec.model_adapter_combinations[0].base_model
    adapters = [c.adapter for c in spec.model_adapter_combinations if c.adapter]
    seen = [rows for rows in map(scope.seen, adapters) if rows]
    return EvaluationWork(
        combinations=tuple(
            Combination(model=scope.model(c.base_model), adapter=scope.adapter(c.adapter) if c.adapter else None)
            for c in spec.model_adapter_combinations
        ),
        dataset=scope.dataset(spec.dataset),
        templates=scope.templates(spec.prompt),
        metrics=spec.metrics,
        fraction=spec.eval_dataset_fraction,
        seen=tuple(dict.fromkeys(seen)),
        selected_features=spec.selected_features,
        slice_by=spec.slice_by,
        judges=tuple(_judge(each) for each in spec.judges),
        harness=_harness(spec, scope.files()) if spec.tasks else None,
        generation=scope.config("generation_config", spec.generation_config, base),
        model_quantization=_asked(spec.model_bnb_config, base, scope),
        adapter_quantization=_asked(spec.adapter_bnb_config, base, scope),
    )


def needs(job: EvaluationJob, config: Configs) -> Iterator[Need]:
    """What it needs of the machine. Judges with one service need it once."""
    from studio.core.needs import EVALUATION, Need, What

    spec = job.spec
    yield Need(What.LIBRARIES, EVALUATION)
    quantised = {"model_bnb_config": spec.model_bnb_config, "adapter_bnb_config": spec.adapter_bnb_config}
    for name in [name for name, value in quantised.items() if value not in (None, "")][:1]:
        yield Need(What.BITSANDBYTES, path=("spec", name))
    if spec.tasks:
        yield Need(What.HARNESS, path=("spec", "tasks"))
    named = [judge.endpoint for judge in spec.judges]
    for name in dict.fromkeys(named):
        yield Need(What.JUDGE, name, ("spec", "judges", named.index(name)))


def _harness(spec: EvaluationJobSpec, files: Mapping[str, str]) -> HarnessWork:
    from studio.core.harness_tasks import HarnessWork

    return HarnessWork(
        tasks=spec.tasks,
        folder=folder_of_tasks(spec),
        files=dict(files),
        num_fewshot=spec.num_fewshot,
        limit=spec.limit or 0,
    )


def folder_of_tasks(spec: EvaluationJobSpec) -> str:
    """As names of files in it begin; "" for none."""
    return posixpath.normpath(spec.tasks_dir) if spec.tasks_dir else ""


def _judge(judge: Judge) -> JudgeWork:
    from studio.core.judging import JudgeWork

    return JudgeWork(
        name=judge.name,
        model=judge.model,
        endpoint=judge.endpoint,
        definition=judge.definition,
        grading=judge.grading,
        scale=(judge.scale[0], judge.scale[1]),
        sample=judge.sample or 0,
        parameters=judge.parameters or {},
    )


def _asked(value: ConfigValue, model: str, scope: Scope) -> dict[str, Any] | None:
    """Quantisation happens only when asked for."""
    return scope.config("bitsandbytes_config", value, model) if value not in (None, "") else None


def resources(job: EvaluationJob) -> Resources:
    """What the job asks of its backend."""
    from studio.core.jobspec import Resources

    spec = job.spec
    return Resources(
        cpu=spec.num_cpu or 1, gpu=spec.num_gpu or 0, memory=spec.num_memory or 1, gpu_label=spec.gpu_label_id
    )
