"""Conflicts in LoRA and quantisation (``LoraConfig.__post_init__``, ``BitsAndBytesConfig.__init__``)."""

from __future__ import annotations

from collections.abc import Iterator

from studio.libraries.conflict import Conflict, Values, exclusive, idle_unless, on


def patterns(values: Values) -> Iterator[Conflict]:
    if isinstance(values.get("target_modules"), str):
        for key in ("layers_to_transform", "layers_pattern"):
            if values.get(key) is not None:
                message = f"{key} needs target_modules to be a list, not one text"
                yield Conflict(key, message, f"write target_modules as a list, or remove {key}")
    elif values.get("layers_pattern") and values.get("layers_to_transform") is None:
        yield Conflict(
            "layers_pattern", "layers_pattern needs layers_to_transform", "write layers_to_transform: [0, 1]"
        )


def initialisation(values: Values) -> Iterator[Conflict]:
    way = values.get("init_lora_weights", True)
    if way == "loftq" and not values.get("loftq_config"):
        yield Conflict("init_lora_weights", "loftq needs a loftq_config", "write loftq_config: {loftq_bits: 4}")
    if on(values.get("lora_bias")):
        if not isinstance(way, bool):
            message = f"lora_bias needs init_lora_weights to be true or false, not {way}"
            yield Conflict("lora_bias", message, "remove one of lora_bias and init_lora_weights")
        elif on(values.get("use_dora")):
            yield Conflict("lora_bias", "lora_bias and use_dora exclude each other", "remove one of the two")


def shared_blocks(values: Values) -> Iterator[Conflict]:
    blocks = values.get("use_bdlora")
    if isinstance(blocks, dict):
        first, second = (blocks.get(f"target_modules_bd_{side}") for side in "ab")
        if not isinstance(first, list) or not isinstance(second, list):
            return
        both = [name for name in first if name in second]
        if both:
            message = f"use_bdlora has {both[0]} in both lists of target modules"
            yield Conflict("use_bdlora", message, "name each module in one of the two")


def one_width(values: Values) -> Iterator[Conflict]:
    if not on(values.get("load_in_4bit")) and not on(values.get("load_in_8bit")):
        key = next((key for key in values if str(key).startswith("load_in_")), next(iter(values), ""))
        message = "neither load_in_4bit nor load_in_8bit is true, so nothing would be quantised"
        yield Conflict(key, message, "write load_in_4bit: true")


LORA_CONTRADICTIONS = (exclusive(("use_dora", "megatron_config")), patterns, initialisation, shared_blocks)
LORA_IDLE = (
    idle_unless("init_lora_weights: loftq", lambda values: values.get("init_lora_weights") == "loftq", "loftq_config"),
    idle_unless("init_lora_weights: eva", lambda values: values.get("init_lora_weights") == "eva", "eva_config"),
    idle_unless("init_lora_weights: corda", lambda values: values.get("init_lora_weights") == "corda", "corda_config"),
    idle_unless("use_qalora: true", lambda values: on(values.get("use_qalora")), "qalora_group_size"),
)
WIDTH_CONTRADICTIONS = (exclusive(("load_in_8bit", "load_in_4bit")), one_width)
WIDTH_IDLE = (
    idle_unless(
        "load_in_4bit: true",
        lambda values: on(values.get("load_in_4bit")),
        "bnb_4bit_compute_dtype", "bnb_4bit_quant_type", "bnb_4bit_use_double_quant", "bnb_4bit_quant_storage",
    ),
    idle_unless(
        "load_in_8bit: true",
        lambda values: on(values.get("load_in_8bit")),
        "llm_int8_threshold", "llm_int8_has_fp16_weight",
    ),
)  # fmt: skip
