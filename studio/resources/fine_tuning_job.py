"""FineTuningJob: trains a LoRA adapter on a base model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as member
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from studio.resources.base import DESCRIPTIVE, OUTCOME, PLACEMENT, ConfigValue, Part, Resource, Spec, field
from studio.resources.matrix import Matrix, Point, Select, points, step
from studio.resources.scope import Made, Scope

if TYPE_CHECKING:
    from studio.core.jobspec import Resources, RevisionWork, TrainingWork
    from studio.core.needs import Configs, Need

DEFAULT_EPOCHS = 1
DEFAULT_LEARNING_RATE = 2e-4
"""Used when neither the job nor its training arguments say (guide, DEFAULT_TRAINING_ARGUMENTS)."""


class Framework(StrEnum):
    """Guide, Type Enums (FineTuningFrameworkType)."""

    LEGACY = "legacy"
    AXOLOTL = "axolotl"


class Loss(StrEnum):
    """On which tokens the loss is taken."""

    COMPLETION = "completion"
    ASSISTANT = "assistant"
    FULL = "full"


FILES = ("accelerator_config", "deepspeed", "fsdp_config")
"""Training arguments that may be the path of a JSON file in the project."""


@dataclass(frozen=True, slots=True)
class JobFacts:
    """The files of the project that a job reads besides its data: its script with what that imports, and settings.

    ``files`` maps project-relative names to SHA-256; ``fault`` says where the script is no Python, ``alone`` whether
    nothing in it has to do with other workers.
    """

    files: Mapping[str, str] = member(default_factory=dict)
    fault: str = ""
    alone: bool = False


def settings_files(arguments: Mapping[str, Any]) -> dict[str, str]:
    """The training arguments that name a file, and which."""
    named = {key: arguments.get(key) for key in FILES}
    return {key: value for key, value in named.items() if isinstance(value, str) and not value.lstrip().startswith("{")}


MORE_ROWS = "a step learns from batch × accumulation × workers rows"
_LOSSES: dict[str, Literal["completion", "assistant", "full"]] = {
    Loss.COMPLETION: "completion",
    Loss.ASSISTANT: "assistant",
    Loss.FULL: "full",
}


SWEPT = (
    "lora_config", "training_arguments_config", "model_bnb_config", "adapter_bnb_config", "axolotl_config",
    "user_script", "user_config", "num_epochs", "learning_rate", "num_workers",
)  # fmt: skip
"""Fields that a matrix may list values of: those beside which the trials' metrics stay comparable. With other rows,
other texts or another base model a loss says something else."""


class Stopping(Part):
    """When a training ends that learns nothing more; it is judged by the loss on held-out rows."""

    patience: int = field(OUTCOME, "Evaluations in a row that may bring nothing better.", 3, minimum=1)
    min_delta: float = field(OUTCOME, "By how much the held-out loss must fall to count as better.", 0.0, minimum=0)


class FineTuningJobSpec(Spec):
    framework_type: str = field(OUTCOME, "Training framework.", "legacy", enum=[str(f) for f in Framework])
    base_model: str = field(OUTCOME, "The model to fine-tune.", "", references="Model", required=True)
    dataset: str = field(OUTCOME, "The training rows.", "", references="Dataset", required=True)
    prompt: str = field(OUTCOME, "How rows become text; optional with axolotl.", "", references="Prompt")
    adapter_name: str = field(
        DESCRIPTIVE, "Name of the adapter that the job produces.", "", pattern="^[a-zA-Z0-9-]+$", required=True
    )
    lora_config: ConfigValue = field(OUTCOME, "LoRA hyperparameters.", config="lora_config", default_config=True)
    training_arguments_config: ConfigValue = field(
        OUTCOME, "Arguments of trl's SFTConfig.", config="training_arguments", default_config=True
    )
    model_bnb_config: ConfigValue = field(OUTCOME, "Quantisation of the base model.", config="bitsandbytes_config")
    adapter_bnb_config: ConfigValue = field(
        OUTCOME, "Quantisation used with the adapter.", config="bitsandbytes_config"
    )
    axolotl_config: ConfigValue = field(OUTCOME, "The Axolotl YAML; needed with axolotl.", config="axolotl")
    user_script: str = field(OUTCOME, "A training script of your own, relative to the project.", "")
    user_config: ConfigValue = field(OUTCOME, "Configuration handed to the user script.", config="custom")
    loss: str = field(
        OUTCOME,
        "Tokens that count: the completion (of a conversation its last answer), all answers of the assistant, or the "
        "full text.",
        "completion",
        enum=[str(x) for x in Loss],
    )
    num_epochs: float | None = field(OUTCOME, "Passes over the rows; overrides the arguments.", exclusiveMinimum=0)
    learning_rate: float | None = field(OUTCOME, "Peak rate; overrides the arguments.", exclusiveMinimum=0)
    early_stopping: Stopping | None = field(
        OUTCOME, "Evaluates while training, ends when that brings nothing better, and keeps the best weights."
    )
    dataset_fraction: float = field(OUTCOME, "Share of the rows to use.", 1.0, exclusiveMinimum=0, maximum=1)
    train_test_split: float = field(OUTCOME, "Share of these rows to train on.", 0.9, exclusiveMinimum=0, maximum=1)
    matrix: Matrix | None = field(
        OUTCOME, "Makes the job a sweep: a trial for each combination of the values listed here, by field."
    )
    select: Select | None = field(OUTCOME, "Which trial's adapter is the sweep's; the lowest eval_loss if not said.")
    out_dir: str = field(DESCRIPTIVE, "An existing folder that receives a copy of the adapter.", "", revised=True)
    num_cpu: int = field(PLACEMENT, "CPU cores.", 0, minimum=1, required=True)
    num_gpu: int = field(PLACEMENT, "GPUs.", 0, minimum=0)
    num_memory: int = field(PLACEMENT, "Memory in GB.", 0, minimum=1, required=True)
    num_workers: int = field(OUTCOME, "Training workers; changes the effective batch.", 1, minimum=1, because=MORE_ROWS,
                             unless="user_script")  # fmt: skip
    dist_cpu: int | None = field(PLACEMENT, "CPU cores of each distributed worker.", minimum=1)
    dist_gpu: int | None = field(PLACEMENT, "GPUs of each distributed worker.", minimum=0)
    dist_mem: int | None = field(PLACEMENT, "Memory in GB of each distributed worker.", minimum=1)
    gpu_label_id: int | None = field(PLACEMENT, "Accelerator label on CML.", minimum=0)


class FineTuningJob(Resource):
    """With a matrix it is a sweep: it trains nothing itself, and chooses among its trials."""

    is_job: ClassVar[bool] = True
    kind: Literal["FineTuningJob"] = "FineTuningJob"
    spec: FineTuningJobSpec

    @property
    def is_sweep(self) -> bool:
        return bool(self.spec.matrix)

    def reads(self, config: str) -> bool:
        """Axolotl has its own configuration, over which only what the job itself names is laid: no default, and no
        training arguments."""
        if self.spec.framework_type != Framework.AXOLOTL:
            return True
        return config != "training_arguments_config" and bool(getattr(self.spec, config))


class Trial(FineTuningJob):
    """One combination of a sweep's values: a job that no manifest spells out."""

    sweep: str
    values: dict[str, Any]
    """By key of the matrix."""
    places: dict[str, int]
    """Which of each key's values it is."""


def swept(job: FineTuningJob) -> Matrix:
    """The part of a job's matrix that can be swept; a rule reports the rest."""
    matrix = job.spec.matrix or {}
    return {key: values for key, values in matrix.items() if values and can_be_swept(key)}


def can_be_swept(key: str) -> bool:
    """Whether a matrix may have a key: a field of ``SWEPT``, or a dotted path into a configuration of these."""
    name, *inner = step(key)
    return name in SWEPT and (not inner or (name.endswith("_config") and all(inner)))


def trials(job: FineTuningJob) -> Iterator[tuple[str, Point]]:
    """Names and combinations of a sweep's trials."""
    for point in points(swept(job)):
        yield f"{job.metadata.name}-{point.slug}", point


def compile(job: FineTuningJob, scope: Scope) -> TrainingWork:
    """The work of a job that passed every rule."""
    from studio.core.jobspec import EarlyStopping, Split, TrainingWork
    from studio.core.sweeps import TrialOf

    spec, stopping = job.spec, job.spec.early_stopping
    axolotl = spec.framework_type == Framework.AXOLOTL
    config = _asked("axolotl", spec.axolotl_config, spec, scope)
    arguments = {} if axolotl else scope.config("training_arguments", spec.training_arguments_config, spec.base_model)
    epochs = (config or {}).get("num_epochs") if axolotl else arguments.get("num_train_epochs")
    rate = (config if axolotl and config else arguments).get("learning_rate")
    return TrainingWork(
        framework="axolotl" if axolotl else "legacy",
        model=scope.model(spec.base_model),
        dataset=scope.dataset(spec.dataset),
        templates=scope.templates(spec.prompt) if spec.prompt else scope.dataset_format(_format(spec, scope)),
        adapter_name=spec.adapter_name,
        split=Split(fraction=spec.dataset_fraction, train=spec.train_test_split),
        loss=_LOSSES[spec.loss],
        epochs=spec.num_epochs or epochs or DEFAULT_EPOCHS,
        learning_rate=spec.learning_rate or rate or DEFAULT_LEARNING_RATE,
        early_stopping=EarlyStopping(patience=stopping.patience, min_delta=stopping.min_delta) if stopping else None,
        training_arguments=arguments,
        lora=_lora(spec, scope),
        model_quantization=_asked("bitsandbytes_config", spec.model_bnb_config, spec, scope),
        adapter_quantization=_asked("bitsandbytes_config", spec.adapter_bnb_config, spec, scope),
        axolotl=config,
        axolotl_python=scope.axolotl_python() if axolotl else "",
        auto_prompt=axolotl and not spec.prompt,
        copy_to=spec.out_dir,
        user_script=spec.user_script,
        files=dict(scope.files()),
        user_config=_asked("custom", spec.user_config, spec, scope),
        trial=TrialOf(sweep=job.sweep, values=job.values) if isinstance(job, Trial) else None,
    )


def revise(job: FineTuningJob, made: Made, again: bool) -> RevisionWork | None:
    """A copy of the adapter where ``out_dir`` says; copies in earlier places are left to whoever uses them."""
    from studio.core.jobspec import CopyRevision, RevisionWork

    spec, output = job.spec, made.output
    target = f"{spec.out_dir}/{spec.adapter_name}"
    if not spec.out_dir or "adapter" not in output or (target in output.get("copies", ()) and not again):
        return None
    copy = CopyRevision(source=output["adapter"], digest=output["digest"], target=target, kept=output.get("kept"))
    return RevisionWork(copies=(copy,))


def resources(job: FineTuningJob) -> Resources | None:
    """What the job asks of its backend; None for a sweep, which only compares what others made."""
    from studio.core.jobspec import Resources

    if job.is_sweep:
        return None
    spec = job.spec
    return Resources(
        cpu=spec.num_cpu,
        gpu=spec.num_gpu,
        memory=spec.num_memory,
        workers=spec.num_workers,
        gpu_label=spec.gpu_label_id,
        dist_cpu=spec.dist_cpu,
        dist_gpu=spec.dist_gpu,
        dist_memory=spec.dist_mem,
    )


def needs(job: FineTuningJob, config: Configs) -> Iterator[Need]:
    """What it needs of the machine; a sweep, which only compares what others made, needs nothing."""
    from studio.core.needs import ATTENDING, TRAINING, Need, What, is_of_bitsandbytes

    spec, axolotl = job.spec, job.spec.framework_type == Framework.AXOLOTL
    if job.is_sweep:
        return
    yield Need(What.LIBRARIES, ATTENDING if axolotl or spec.user_script else TRAINING)
    if axolotl:  # all else is in its own environment
        yield Need(What.AXOLOTL, path=("spec", "framework_type"))
        return
    quantised = {"model_bnb_config": spec.model_bnb_config, "adapter_bnb_config": spec.adapter_bnb_config}
    asking = [name for name, value in quantised.items() if value not in (None, "")]
    arguments = spec.training_arguments_config
    if not spec.user_script and is_of_bitsandbytes(config("training_arguments", arguments).get("optim")):
        asking.append("training_arguments_config")
    if asking:
        yield Need(What.BITSANDBYTES, path=("spec", asking[0]))


def _asked(type: str, value: ConfigValue, spec: FineTuningJobSpec, scope: Scope) -> dict[str, Any] | None:
    """A Config that has no default in force: quantisation happens only when asked for."""
    return scope.config(type, value, spec.base_model) if value not in (None, "") else None


def _lora(spec: FineTuningJobSpec, scope: Scope) -> dict[str, Any]:
    """With Axolotl, whose configuration holds everything, only what the job itself names."""
    if spec.framework_type == Framework.AXOLOTL:
        return _asked("lora_config", spec.lora_config, spec, scope) or {}
    return scope.config("lora_config", spec.lora_config, spec.base_model)


def _format(spec: FineTuningJobSpec, scope: Scope) -> str:
    """The Axolotl dataset type that the job's YAML names (guide, Axolotl Auto-Prompt)."""
    datasets = scope.config("axolotl", spec.axolotl_config, spec.base_model).get("datasets") or [{}]
    return str(datasets[0].get("type", ""))
