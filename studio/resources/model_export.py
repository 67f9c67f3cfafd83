"""ModelExport: registers a model, or deploys it as an endpoint."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Strict

from studio.core.errors import StudioError
from studio.resources.base import DESCRIPTIVE, OUTCOME, PLACEMENT, ConfigValue, Resource, Spec, field
from studio.resources.scope import Made, Scope

if TYPE_CHECKING:
    from studio.core.jobspec import ExportWork, Resources, RevisionWork


class ExportType(StrEnum):
    """Guide, Type Enums (ModelExportType)."""

    MODEL_REGISTRY = "model_registry"
    CML_MODEL = "cml_model"


class Weights(StrEnum):
    """What is stored in the registry."""

    MERGED = "merged"
    ADAPTER = "adapter"
    REFERENCE = "reference"


class InferenceTask(StrEnum):
    """MLflow's inference tasks for text generation (MLflow, Tasks in the Transformers flavor)."""

    TEXT_GENERATION = "text-generation"
    CHAT = "llm/v1/chat"
    COMPLETIONS = "llm/v1/completions"


class ModelExportSpec(Spec):
    type: str = field(OUTCOME, "Where the model goes.", "", enum=[str(t) for t in ExportType], required=True)
    base_model: str = field(OUTCOME, "The base model.", "", references="Model", required=True)
    adapter: str = field(OUTCOME, "The adapter to merge or attach.", "", references="Adapter")
    model_name: str = field(OUTCOME, "Name in the registry.", "", minLength=1, required=True)
    model_description: str = field(DESCRIPTIVE, "Shown in the registry.", "", revised=True)
    generation_config: ConfigValue = field(
        OUTCOME, "Defaults of the served model.", config="generation_config", default_config=True
    )
    task: str = field(OUTCOME, "MLflow inference task.", "text-generation", enum=[str(t) for t in InferenceTask])
    weights: str = field(OUTCOME, "What is stored.", "merged", enum=[str(w) for w in Weights])
    requires: Annotated[tuple[str, ...], Strict(False)] = field(
        DESCRIPTIVE, "Evaluations whose gates must have passed.", (), references="EvaluationJob"
    )
    num_cpu: int | None = field(PLACEMENT, "CPU cores.", minimum=1)
    num_gpu: int | None = field(PLACEMENT, "GPUs.", minimum=0)
    num_memory: int | None = field(PLACEMENT, "Memory in GB.", minimum=1)
    replicas: int | None = field(PLACEMENT, "Replicas of a deployed endpoint.", minimum=1)
    enable_authentication: bool = field(PLACEMENT, "Demand a key of the endpoint's callers.", True)


class ModelExport(Resource):
    is_job: ClassVar[bool] = True
    kind: Literal["ModelExport"] = "ModelExport"
    spec: ModelExportSpec


def compile(export: ModelExport, scope: Scope) -> ExportWork:
    """The work of an export that passed every rule."""
    from studio.core.jobspec import ExportWork

    spec = export.spec
    if spec.type == ExportType.CML_MODEL:
        raise StudioError("an endpoint cannot be deployed by the local backend", "write type: model_registry")
    return ExportWork(
        model=scope.model(spec.base_model),
        adapter=scope.adapter(spec.adapter) if spec.adapter else None,
        model_name=spec.model_name,
        after=scope.registered(spec.model_name),
        description=spec.model_description,
        weights=Weights(spec.weights).value,
        inference_task=spec.task,
        generation=scope.config("generation_config", spec.generation_config, spec.base_model),
        input_example=scope.example(spec.adapter),
        provenance=scope.provenance(),
    )


def revise(export: ModelExport, made: Made, again: bool) -> RevisionWork | None:
    """The registered version's description, and the tags by which it is known again."""
    from studio.core.jobspec import RevisionWork, VersionRevision
    from studio.core.tracking_look import FINGERPRINT_TAG, KEY_TAG

    wanted, output = export.spec.model_description, made.output
    if "model_version" not in output or (output.get("description") == wanted and not again):
        return None
    tags = {KEY_TAG: made.run_key, FINGERPRINT_TAG: made.fingerprint} if made.run_key else {}  # else it was imported
    version = VersionRevision(
        model_name=output["model_name"], model_version=output["model_version"], description=wanted, tags=tags
    )
    return RevisionWork(versions=(version,))


def resources(export: ModelExport) -> Resources:
    """What the export asks of its backend while it merges and registers."""
    from studio.core.jobspec import Resources

    spec = export.spec
    return Resources(cpu=spec.num_cpu or 1, gpu=spec.num_gpu or 0, memory=spec.num_memory or 4)
