"""Model: a base foundation model."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as attribute
from enum import StrEnum
from typing import Literal

from studio.resources.base import DESCRIPTIVE, OUTCOME, UNRECORDED, Resource, Spec, field


class ModelType(StrEnum):
    """Guide, Type Enums."""

    HUGGINGFACE = "huggingface"
    PROJECT = "project"
    MODEL_REGISTRY = "model_registry"


class ModelFramework(StrEnum):
    """Guide, Type Enums (ModelFrameworkType)."""

    PYTORCH = "pytorch"
    TENSORFLOW = "tensorflow"
    ONNX = "onnx"


HUB, LOCAL, REGISTRY = [ModelType.HUGGINGFACE.value], [ModelType.PROJECT.value], [ModelType.MODEL_REGISTRY.value]


class ModelSpec(Spec):
    type: str = field(OUTCOME, "Where the weights come from.", "", enum=[str(t) for t in ModelType], required=True)
    huggingface_model_name: str = field(OUTCOME, "Hub identifier, such as owner/name.", "", types=HUB)
    revision: str = field(OUTCOME, "Commit, tag or branch on the hub; pin a commit.", "", types=HUB)
    location: str = field(
        DESCRIPTIVE, "Folder, relative to the project; the content decides, not the path.", "", types=LOCAL
    )
    cml_registered_model_id: str = field(OUTCOME, "Id in the CML model registry.", "", types=REGISTRY)
    framework: str = field(DESCRIPTIVE, "Framework of the weights.", "pytorch", enum=[str(f) for f in ModelFramework])


class Model(Resource):
    kind: Literal["Model"] = "Model"
    spec: ModelSpec


@dataclass(frozen=True, slots=True)
class Module:
    """A module with a weight matrix: its full name, and the two sides of the matrix."""

    name: str
    rows: int
    columns: int


@dataclass(frozen=True, slots=True)
class ModelShape:
    """The dimensions of a decoder, from its config, and what its weights files say they hold.

    ``type`` is what transformers calls the architecture, such as llama; ``stored`` is in bytes; ``parameters`` counts
    every number in the files, so that tied weights count once.
    """

    digest: str
    type: str
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    parameters: int
    stored: int
    matrices: tuple[Module, ...]
    modules: frozenset[str] | None
    """Names of all modules; None when the loaded model may call them otherwise than its files do."""

    def __hash__(self) -> int:
        return hash(self.digest)


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """``family`` is ``architectures[0]`` of the model's config, such as LlamaForCausalLM; "" when unknown.

    Of a model in a workspace's registry only the MLflow run that logged it is known, and its digest is "".
    ``shape`` is there for a decoder on disk whose config says its dimensions.
    """

    family: str
    digest: str
    mlflow_experiment_id: str = ""
    mlflow_run_id: str = ""
    shape: ModelShape | None = attribute(default=None, repr=False, metadata={UNRECORDED: True})
