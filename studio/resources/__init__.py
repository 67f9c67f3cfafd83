"""The table of kinds: a new kind is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from studio.resources import evaluation_job, fine_tuning_job, model_export
from studio.resources.adapter import Adapter
from studio.resources.base import Resource
from studio.resources.config import Config
from studio.resources.dataset import Dataset
from studio.resources.evaluation_job import EvaluationJob
from studio.resources.fine_tuning_job import FineTuningJob
from studio.resources.model import Model
from studio.resources.model_export import ModelExport
from studio.resources.prompt import Prompt
from studio.resources.scope import Made, Scope

if TYPE_CHECKING:
    from studio.core.endpoint import AdjustmentWork
    from studio.core.jobspec import Resources, RevisionWork, Work
    from studio.core.needs import Configs, Need


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind's type and, for kinds that run jobs, how it compiles to work and what it asks for.

    ``revise`` gives the work that carries out, outside the record, what fields marked ``revised`` say of a thing that
    was made before; None when nothing is to be done. With its third argument true also what was done before.
    ``resources`` are None for a resource that runs no job itself; ``needs`` are what else the machine must have.
    """

    model: type[Resource]
    compile: Callable[[Any, Scope], Work] | None = None
    resources: Callable[[Any], Resources | None] | None = None
    revise: Callable[[Any, Made, bool], RevisionWork | AdjustmentWork | None] | None = None
    needs: Callable[[Any, Configs], Iterable[Need]] | None = None


KINDS: dict[str, Kind] = {
    "Dataset": Kind(Dataset),
    "Model": Kind(Model),
    "Adapter": Kind(Adapter),
    "Prompt": Kind(Prompt),
    "Config": Kind(Config),
    "FineTuningJob": Kind(
        FineTuningJob, fine_tuning_job.compile, fine_tuning_job.resources, fine_tuning_job.revise, fine_tuning_job.needs
    ),
    "EvaluationJob": Kind(EvaluationJob, evaluation_job.compile, evaluation_job.resources, needs=evaluation_job.needs),
    "ModelExport": Kind(
        ModelExport, model_export.compile, model_export.resources, model_export.revise, model_export.needs
    ),
}
