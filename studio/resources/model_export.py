"""ModelExport: registers a model, or deploys it as an endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Strict

from studio.core.errors import StudioError
from studio.resources.base import DESCRIPTIVE, OUTCOME, PLACEMENT, ConfigValue, Resource, Spec, field
from studio.resources.scope import Made, Scope

if TYPE_CHECKING:
    from studio.core.endpoint import AdjustmentWork, DeploymentWork, EndpointSize
    from studio.core.jobspec import ExportWork, Resources, RevisionWork
    from studio.core.needs import Configs, Need


class ExportType(StrEnum):
    """Guide, Type Enums (ModelExportType)."""

    MODEL_REGISTRY = "model_registry"
    CML_MODEL = "cml_model"


class Weights(StrEnum):
    """What is stored in the registry."""

    MERGED = "merged"
    ADAPTER = "adapter"
    REFERENCE = "reference"


class GgufType(StrEnum):
    """What llama.cpp's converter takes as ``--outtype`` and llama.cpp loads everywhere."""

    AUTO = "auto"
    BF16 = "bf16"
    F16 = "f16"
    F32 = "f32"
    Q8_0 = "q8_0"


class InferenceTask(StrEnum):
    """MLflow's inference tasks for text generation (MLflow, Tasks in the Transformers flavor)."""

    TEXT_GENERATION = "text-generation"
    CHAT = "llm/v1/chat"
    COMPLETIONS = "llm/v1/completions"


_REGISTRY, _ENDPOINT = [ExportType.MODEL_REGISTRY.value], [ExportType.CML_MODEL.value]
ANEW = "a workspace cannot change it: the endpoint is deleted and made anew, with another access key"


class ModelExportSpec(Spec):
    type: str = field(
        OUTCOME,
        "Where the model goes: into the registry, or to an endpoint.",
        "",
        enum=[str(t) for t in ExportType],
        required=True,
    )
    base_model: str = field(OUTCOME, "The base model.", "", references="Model", required=True)
    adapter: str = field(OUTCOME, "The adapter to merge or attach.", "", references="Adapter")
    model_name: str = field(OUTCOME, "Name in the registry, or of the endpoint.", "", minLength=1, required=True)
    model_description: str = field(DESCRIPTIVE, "Shown where the model is.", "", revised=True)
    generation_config: ConfigValue = field(
        OUTCOME, "Defaults of the served model.", config="generation_config", default_config=True
    )
    task: str = field(
        OUTCOME, "MLflow inference task.", "text-generation", enum=[str(t) for t in InferenceTask], types=_REGISTRY
    )
    weights: str = field(OUTCOME, "What is stored.", "merged", enum=[str(w) for w in Weights], types=_REGISTRY)
    persist: bool = field(
        OUTCOME,
        "With weights: reference, store the hub's weights as well, so that loading the version needs no hub.",
        False,
        types=_REGISTRY,
    )
    gguf: str | None = field(
        OUTCOME,
        "With weights: merged, store a GGUF file for llama.cpp as well, with numbers of this type.",
        enum=[str(t) for t in GgufType],
        types=_REGISTRY,
    )
    requires: Annotated[tuple[str, ...], Strict(False)] = field(
        DESCRIPTIVE, "Evaluations whose gates must have passed.", (), references="EvaluationJob"
    )
    num_cpu: int | None = field(PLACEMENT, "CPU cores, of an endpoint in each replica.", minimum=1, revised=_ENDPOINT)
    num_gpu: int | None = field(PLACEMENT, "GPUs, of an endpoint in each replica.", minimum=0, revised=_ENDPOINT)
    num_memory: int | None = field(
        PLACEMENT, "Memory in GB, of an endpoint in each replica.", minimum=1, revised=_ENDPOINT
    )
    replicas: int | None = field(
        PLACEMENT, "Replicas of a deployed endpoint.", minimum=1, revised=_ENDPOINT, types=_ENDPOINT
    )
    enable_authentication: bool = field(
        OUTCOME, "Demand a key of the endpoint's callers.", True, types=_ENDPOINT, because=ANEW
    )


class ModelExport(Resource):
    is_job: ClassVar[bool] = True
    kind: Literal["ModelExport"] = "ModelExport"
    spec: ModelExportSpec

    @property
    def is_endpoint(self) -> bool:
        """Whether it is deployed, and not registered."""
        return self.spec.type == ExportType.CML_MODEL


def compile(export: ModelExport, scope: Scope) -> ExportWork | DeploymentWork:
    """The work of an export that passed every rule."""
    from studio.core.jobspec import ExportWork

    spec = export.spec
    if export.is_endpoint:
        return _deployment(export, scope)
    return ExportWork(
        model=scope.model(spec.base_model),
        adapter=scope.adapter(spec.adapter) if spec.adapter else None,
        model_name=spec.model_name,
        after=scope.registered(spec.model_name),
        description=spec.model_description,
        weights=Weights(spec.weights).value,
        persist=spec.persist,
        gguf=GgufType(spec.gguf).value if spec.gguf else None,
        inference_task=spec.task,
        generation=scope.config("generation_config", spec.generation_config, spec.base_model),
        input_example=scope.example(spec.adapter),
        provenance=scope.provenance(),
    )


def needs(export: ModelExport, config: Configs) -> Iterator[Need]:
    """What it needs of the machine; an endpoint, which a workspace builds and serves, needs nothing."""
    from studio.core.needs import EXPORT, Need, What

    if export.is_endpoint:
        return
    yield Need(What.LIBRARIES, EXPORT)
    if export.spec.gguf:
        yield Need(What.GGUF, path=("spec", "gguf"))


def _deployment(export: ModelExport, scope: Scope) -> DeploymentWork:
    """An endpoint keeps its address while weights and configuration change, as long as its name is the same."""
    from studio.core.endpoint import DeploymentWork

    spec, before = export.spec, scope.endpoint()
    if not scope.workspace():
        raise StudioError("an endpoint cannot be deployed by the local backend", "write type: model_registry")
    model, adapter, known = scope.model(spec.base_model), scope.adapter(spec.adapter), before.get("model_id", "")
    stays, shared = before.get("model_name") == spec.model_name, bool(known) and scope.is_shared(before)
    return DeploymentWork(
        base_model=model.huggingface_name,
        revision=model.revision,
        adapter=adapter.location,
        digest=adapter.digest,
        kept=adapter.kept,
        model_name=spec.model_name,
        model_id=known if stays and not shared else "",  # what is shared is its first owner's to change
        supersedes="" if stays or shared else known,
        owner=scope.owner(),
        description=spec.model_description,
        generation=scope.config("generation_config", spec.generation_config, spec.base_model),
        size=size(export),
        authentication=spec.enable_authentication,
    )


def revise(export: ModelExport, made: Made, again: bool) -> RevisionWork | AdjustmentWork | None:
    """What is said of a registered version, or of an endpoint, where it is."""
    return _adjusted(export, made, again) if made.output.get("task") == "deployment" else _said(export, made, again)


def _adjusted(export: ModelExport, made: Made, again: bool) -> AdjustmentWork | None:
    from studio.core.endpoint import AdjustmentWork

    output, wanted = made.output, size(export)
    said = output.get("description") == export.spec.model_description
    if said and output.get("size") == wanted.model_dump() and not again:
        return None
    named = {name: output[name] for name in ("model_name", "model_id", "build_id")}
    return AdjustmentWork(**named, description=export.spec.model_description, size=wanted)


def _said(export: ModelExport, made: Made, again: bool) -> RevisionWork | None:
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


def size(export: ModelExport) -> EndpointSize:
    """What the endpoint is to have; the guide's defaults where nothing is said."""
    from studio.core.endpoint import EndpointSize

    spec = export.spec
    asked = {"cpu": spec.num_cpu, "memory": spec.num_memory, "gpu": spec.num_gpu, "replicas": spec.replicas}
    return EndpointSize(**{name: value for name, value in asked.items() if value is not None})


def resources(export: ModelExport) -> Resources:
    """What the export asks of its backend while it merges and registers; of an endpoint what its replicas have."""
    from studio.core.jobspec import Resources

    spec = export.spec
    if export.is_endpoint:
        each = size(export)
        return Resources(cpu=int(each.cpu), gpu=each.gpu, memory=int(each.memory), workers=each.replicas)
    return Resources(cpu=spec.num_cpu or 1, gpu=spec.num_gpu or 0, memory=spec.num_memory or 4)
