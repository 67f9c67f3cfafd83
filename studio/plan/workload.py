"""What a job's duration depends on: read off its work before it runs, and measured by itself when it has run."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from studio.core.endpoint import AdjustmentWork, DeploymentWork, WithdrawalWork
from studio.core.fingerprints import digest
from studio.core.jobresult import Measures
from studio.core.jobspec import (
    DatasetInput,
    EvaluationWork,
    ExportWork,
    JobSpec,
    ModelInput,
    RemovalWork,
    Resources,
    RevisionWork,
    TrainingWork,
    Work,
)
from studio.core.record import Record
from studio.core.schedule import count, schedule
from studio.libraries.decided import NEW_TOKENS

ALIKE = ("task", "model", "framework", "workers", "quantised", "metrics", "max_new_tokens", "weights")
"""Fields of a workload that must be the same in a run that says how long it takes."""


class Workload(Record):
    """What a spec says of it. ``model`` and ``dataset`` are content digests, or names on the hub with revisions."""

    task: str
    model: str = ""
    dataset: str = ""
    share: float = 1.0
    """Of the data set's rows, those that are worked on."""
    framework: str = ""
    workers: int = 1
    quantised: bool = False
    epochs: float = 1.0
    shown: int = 0
    """Rows that ``max_steps`` shows to the model, however many there are; 0 without it."""
    combinations: int = 1
    bases: int = 1
    """Models that one job loads, one after the other."""
    parts: int = 1
    """Jobs that share the work, each of which loads a model."""
    metrics: tuple[str, ...] = ()
    max_new_tokens: int = 0
    weights: str = ""

    @property
    def loads(self) -> int:
        """How often what does not depend on the rows is done: models loaded, libraries, results written."""
        return self.parts if self.parts > 1 else self.bases

    def volume(self, rows: float) -> float:
        """How often a row is worked on; an export or endpoint works on none, and counts once."""
        if self.task in ("export", "deployment"):
            return 1.0
        return float(self.shown or rows * self.epochs * self.combinations)


class Measured(Workload, Measures):
    """A workload and what became of it: an artifact's ``measures``."""


def workload(work: Work, resources: Resources) -> Workload:
    """What the duration of ``work`` will depend on."""
    match work:
        case TrainingWork():
            return _training(work, resources)
        case EvaluationWork():
            return _evaluation(work)
        case ExportWork():
            return Workload(task=work.task, model=_model(work.model), weights=_stored(work))
        case DeploymentWork():
            return Workload(task=work.task, model=f"{work.base_model}@{work.revision}")
        case RemovalWork() | RevisionWork() | AdjustmentWork() | WithdrawalWork():
            return Workload(task=work.task)


def shared(work: Workload) -> Workload:
    """The same done by as many jobs as it has parts (``core.parts``)."""
    return work.model_copy(update={"parts": work.combinations})


def promised(spec: JobSpec) -> dict[str, Any]:
    """A job's workload as plain data, without what was left at its default."""
    return workload(spec.work, spec.resources).model_dump(mode="json", exclude_defaults=True)


def measures(promised: dict[str, Any], measured: Measures) -> dict[str, Any]:
    """What an artifact keeps of a job that ended well: what its spec said of it, and what it measured."""
    return {**promised, **measured.model_dump(exclude_defaults=True)}


def measured(kept: dict[str, Any]) -> Measured | None:
    """The same as a value; None for an artifact whose job measured nothing, or says it in another form."""
    try:
        found = Measured.model_validate(kept)
    except ValidationError:
        return None
    return found if found.device else None


def _training(work: TrainingWork, resources: Resources) -> Workload:
    devices = resources.workers if resources.workers > 1 else max(1, resources.gpu)
    together = schedule(0, work.training_arguments, devices, work.epochs).effective
    return Workload(
        task=work.task,
        model=_model(work.model),
        dataset=_dataset(work.dataset),
        share=work.split.fraction * work.split.train,
        framework=work.user_script or work.framework,
        workers=resources.workers,
        quantised=bool(work.model_quantization or work.adapter_quantization),
        epochs=work.epochs,
        shown=count(work.training_arguments.get("max_steps"), 0) * together,
    )


def _evaluation(work: EvaluationWork) -> Workload:
    """Its share leaves out what training saw; several trainings with different splits leave the rest of each other."""
    models = sorted({_model(each.model) for each in work.combinations})
    seen = [each.split for each in work.seen if each.dataset_digest == work.dataset.digest]
    unseen = min((1 - split.fraction * split.train for split in seen), default=1.0)
    return Workload(
        task=work.task,
        model=models[0] if len(models) == 1 else digest(models),
        dataset=_dataset(work.dataset),
        share=work.fraction * unseen,
        quantised=bool(work.model_quantization or work.adapter_quantization),
        combinations=len(work.combinations),
        bases=len(models),
        metrics=tuple(sorted(work.metrics)),
        max_new_tokens=count(work.generation.get("max_new_tokens"), NEW_TOKENS),
    )


def _stored(work: ExportWork) -> str:
    return f"{work.weights} and {work.gguf}" if work.gguf else work.weights


def _model(model: ModelInput) -> str:
    logged = model.logged.run_id if model.logged else ""
    return model.digest or logged or f"{model.huggingface_name or model.location}@{model.revision}"


def _dataset(dataset: DatasetInput) -> str:
    return dataset.digest or f"{dataset.huggingface_name or dataset.location}@{dataset.revision}/{dataset.subset}"
