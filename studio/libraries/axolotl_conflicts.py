"""Conflicts in Axolotl configurations (the validators of ``AxolotlInputConfig``)."""

from __future__ import annotations

from collections.abc import Iterator

from studio.libraries.conflict import Conflict, Values, exclusive, idle_unless, on

only_one = exclusive(
    ("warmup_steps", "warmup_ratio"),
    ("eval_steps", "evals_per_epoch"),
    ("save_steps", "saves_per_epoch"),
    ("load_in_8bit", "load_in_4bit"),
    ("gradient_accumulation_steps", "batch_size"),
    ("test_datasets", "val_set_size"),
    ("max_memory", "gpu_memory_limit"),
    ("sample_packing", "batch_flattening"),
    ("sample_packing", "rl"),
    ("loraplus_lr_ratio", "lr_groups"),
)


def adapter(values: Values) -> Iterator[Conflict]:
    named, merges = values.get("adapter"), on(values.get("merge_lora"))
    if named == "qlora" and not on(values.get("load_in_4bit")) and not merges:
        yield Conflict(
            "adapter", "adapter qlora needs load_in_4bit: true", "write load_in_4bit: true, or adapter: lora"
        )
    if named == "qlora" and on(values.get("load_in_8bit")):
        yield Conflict("load_in_8bit", "adapter qlora works in 4 bit, not in 8", "remove load_in_8bit")
    if not named and not on(values.get("inference")):
        for key in ("load_in_8bit", "load_in_4bit"):
            if on(values.get(key)):
                yield Conflict(
                    key, f"{key} needs an adapter: quantised weights cannot be trained", "write adapter: lora"
                )


def strategies(values: Values) -> Iterator[Conflict]:
    for what in ("eval", "save"):
        strategy, key = values.get(f"{what}_strategy"), f"{what}_steps"
        if strategy and strategy != "steps" and on(values.get(key)):
            message = f"{key} does not go with {what}_strategy: {strategy}"
            yield Conflict(key, message, f"remove one of {key} and {what}_strategy")


def layers(values: Values) -> Iterator[Conflict]:
    if values.get("peft_layers_pattern") and not values.get("peft_layers_to_transform"):
        key = "peft_layers_pattern"
        yield Conflict(key, f"{key} needs peft_layers_to_transform", "write peft_layers_to_transform: [0, 1]")


CONTRADICTIONS = (only_one, adapter, strategies, layers)
IDLE = (
    idle_unless(
        "adapter: lora", lambda values: on(values.get("adapter")),
        "lora_r", "lora_alpha", "lora_dropout", "lora_target_modules", "lora_target_linear",
    ),
)  # fmt: skip
