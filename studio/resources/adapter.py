"""Adapter: PEFT weights on top of a base model."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from studio.resources.base import DESCRIPTIVE, OUTCOME, Resource, Spec, field


class AdapterType(StrEnum):
    """Guide, Type Enums."""

    PROJECT = "project"
    HUGGINGFACE = "huggingface"
    MODEL_REGISTRY = "model_registry"


HUB, LOCAL, REGISTRY = [AdapterType.HUGGINGFACE.value], [AdapterType.PROJECT.value], [AdapterType.MODEL_REGISTRY.value]


class AdapterSpec(Spec):
    type: str = field(OUTCOME, "Where the weights come from.", "", enum=[str(t) for t in AdapterType], required=True)
    model: str = field(OUTCOME, "The base model that the adapter applies to.", "", references="Model", required=True)
    location: str = field(
        DESCRIPTIVE, "Folder, relative to the project; the content decides, not the path.", "", types=LOCAL
    )
    huggingface_name: str = field(OUTCOME, "Hub identifier, such as owner/name.", "", types=HUB)
    revision: str = field(OUTCOME, "Commit, tag or branch on the hub; pin a commit.", "", types=HUB)
    cml_registered_model_id: str = field(OUTCOME, "Id in the CML model registry.", "", types=REGISTRY)
    fine_tuning_job: str = field(OUTCOME, "The job that produced it.", "", references="FineTuningJob")
    prompt: str = field(DESCRIPTIVE, "The prompt it was trained with.", "", references="Prompt")

    @property
    def has_weights(self) -> bool:
        """Whether the manifest says where they are; else they are what its job produces."""
        return bool(self.location or self.huggingface_name or self.cml_registered_model_id)


class Adapter(Resource):
    kind: Literal["Adapter"] = "Adapter"
    spec: AdapterSpec


@dataclass(frozen=True, slots=True)
class AdapterFacts:
    """Read from the adapter's folder; ``base_model`` is the name written inside by whoever trained it.

    Of one in a workspace's registry only the MLflow run that logged it is known, and its digest is "".
    """

    digest: str
    rank: int | None = None
    target_modules: tuple[str, ...] = ()
    base_model: str = ""
    mlflow_experiment_id: str = ""
    mlflow_run_id: str = ""
