"""What fields of a job are called in an Axolotl configuration: LoRA and quantisation, which jobs say in PEFT's words.

Rules say beforehand what has no place there; ``studio/jobs`` acts on the same tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LORA: Mapping[str, str] = {
    "r": "lora_r",
    "lora_alpha": "lora_alpha",
    "lora_dropout": "lora_dropout",
    "target_modules": "lora_target_modules",
    "target_parameters": "lora_target_parameters",
    "modules_to_save": "lora_modules_to_save",
    "fan_in_fan_out": "lora_fan_in_fan_out",
    "rank_pattern": "lora_rank_pattern",
    "alpha_pattern": "lora_alpha_pattern",
    "use_dora": "peft_use_dora",
    "use_rslora": "peft_use_rslora",
    "init_lora_weights": "peft_init_lora_weights",
    "layers_to_transform": "peft_layers_to_transform",
    "layers_pattern": "peft_layers_pattern",
    "layer_replication": "peft_layer_replication",
    "trainable_token_indices": "peft_trainable_token_indices",
    "ensure_weight_tying": "peft_ensure_weight_tying",
}
"""Key of ``LoraConfig`` to Axolotl's."""
EVERY_LINEAR_LAYER = "all-linear"
"""What PEFT calls them as ``target_modules``; Axolotl has ``lora_target_linear`` for it."""
UNSAID: Mapping[str, tuple[Any, ...]] = {
    "task_type": ("CAUSAL_LM",),
    "bias": ("none",),
    "inference_mode": (False,),
    "base_model_name_or_path": (),
    "peft_type": ("LORA",),
}
"""Keys that Axolotl has no word for, and the values that need none: they are as Axolotl trains anyway."""
FOUR_BIT = "bnb_4bit_"
"""Beginning of the keys that Axolotl takes under ``bnb_config_kwargs``."""
WIDTHS = ("load_in_4bit", "load_in_8bit")


def without_place(lora: Mapping[str, Any]) -> tuple[str, ...]:
    """Keys of a LoRA configuration that say something, and that Axolotl has no setting for."""
    return tuple(
        key
        for key, value in lora.items()
        if key not in LORA
        and value is not None
        and value not in UNSAID.get(key, ())
        and key != "base_model_name_or_path"
    )


def lora(values: Mapping[str, Any]) -> dict[str, Any]:
    """Axolotl's words for a LoRA configuration."""
    found = {LORA[key]: value for key, value in values.items() if key in LORA and value is not None}
    if found.get("lora_target_modules") == EVERY_LINEAR_LAYER:
        return {**found, "lora_target_modules": None, "lora_target_linear": True}
    return {**found, "lora_target_linear": None} if "lora_target_modules" in found else found


def quantization(values: Mapping[str, Any]) -> dict[str, Any]:
    """Axolotl's words for a bitsandbytes configuration; {} for one that asks for no quantisation."""
    if values.get("load_in_4bit"):
        details = {key: value for key, value in values.items() if key.startswith(FOUR_BIT)}
        return {"adapter": "qlora", "load_in_4bit": True, "load_in_8bit": None, "bnb_config_kwargs": details or None}
    if values.get("load_in_8bit"):
        return {"adapter": "lora", "load_in_8bit": True, "load_in_4bit": None, "bnb_config_kwargs": None}
    return {}
