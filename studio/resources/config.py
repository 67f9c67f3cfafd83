"""Config: a named blob that parameterises training, quantisation, generation or Axolotl."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Literal

from studio.resources.base import DESCRIPTIVE, OUTCOME, Resource, Spec, field


class ConfigType(StrEnum):
    """Guide, Type Enums."""

    TRAINING_ARGUMENTS = "training_arguments"
    BITSANDBYTES_CONFIG = "bitsandbytes_config"
    GENERATION_CONFIG = "generation_config"
    LORA_CONFIG = "lora_config"
    CUSTOM = "custom"
    AXOLOTL = "axolotl"
    AXOLOTL_DATASET_FORMATS = "axolotl_dataset_formats"


YAML_TYPES = frozenset({ConfigType.AXOLOTL})
"""Types whose text form is YAML; all others are JSON (rules CF-002 and CF-003)."""


class ConfigSpec(Spec):
    type: str = field(OUTCOME, "What the blob parameterises.", "", enum=[str(t) for t in ConfigType], required=True)
    config: dict[str, Any] | str = field(OUTCOME, "A mapping, or its JSON or YAML text.", "", required=True)
    model_family: str = field(DESCRIPTIVE, "Architecture, such as LlamaForCausalLM, for which this Config is made.", "")
    default: bool = field(DESCRIPTIVE, "Used by jobs on models of this family that name no Config of this type.", False)


class Config(Resource):
    kind: Literal["Config"] = "Config"
    spec: ConfigSpec


def auto_prompt(configs: Iterable[Config], type: str) -> str:
    """The prompt that describes rows of an Axolotl data set type: a line for each column of its format (guide, Axolotl
    Auto-Prompt). "" for a type that no Config describes: Axolotl needs no words of ours."""
    for config in configs:
        content = config.spec.config if config.spec.type == ConfigType.AXOLOTL_DATASET_FORMATS else None
        if isinstance(content, dict) and content.get("description") == type:
            return "".join(f"{column.title()}: {{{column}}}\n" for column in content.get("format") or {})
    return ""
