"""What the annotations of the libraries leave open, read in their source (trl 1.16, transformers 5.17, peft 0.21,
bitsandbytes 0.50). A key that is here takes what is said here, whatever its annotation says."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]
NULL: Schema = {"type": "null"}
BOOLEAN: Schema = {"type": "boolean"}
STRING: Schema = {"type": "string"}
POSITIVE: Schema = {"type": "integer", "minimum": 1}
SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
COUNT: Schema = {"type": "integer", "minimum": 0}
TOKENS: Schema = {"type": "array", "items": {"type": "integer"}}
JSON_TEXT: Schema = {"type": "string", "contentMediaType": "application/json", "pattern": r"^\{"}
JSON_OR_FILE: Schema = {"type": "string", "contentMediaType": "application/json"}
UNSETTABLE = frozenset(
    {"parallelism_config", "runtime_config", "compile_config", "continuous_batching_config"}
    | {"penalty_alpha", "dola_layers", "diversity_penalty", "num_beam_groups", "constraints", "force_words_ids"}
    | {"low_memory"}
)
"""Keys that only a Python object can fill, and keys that are read and then ignored since decoding methods moved out of
transformers. ``studio.libraries.removed`` says so of each."""


AT_LEAST_0: Schema = {"type": "number", "minimum": 0}
ABOVE_0: Schema = {"type": "number", "exclusiveMinimum": 0}
NESTED: dict[str, dict[str, Schema]] = {
    "ArrowConfig": {"top_k": POSITIVE, "router_temperature": ABOVE_0},
    "EvaConfig": {"rho": {"type": "number", "minimum": 1}, "tau": SHARE},
    "KasaConfig": {"beta": AT_LEAST_0, "gamma": AT_LEAST_0},
    "MontecloraConfig": {"num_samples": POSITIVE, "dirichlet_prior": ABOVE_0, "buffer_size": POSITIVE},
    "VeloraConfig": {
        "num_groups": POSITIVE,
        "scale": ABOVE_0,
        "init_type": {"enum": ["batch_average_once", "batch_average", "random"]},
    },
    "WatermarkingConfig": {
        "seeding_scheme": {"enum": ["selfhash", "lefthash"]},
        "greenlist_ratio": SHARE,
        "context_width": POSITIVE,
    },
}
"""The same for mappings within a configuration, by the class that they become (``__post_init__``, ``validate``)."""


def either(*options: Schema) -> Schema:
    return {"anyOf": list(options)}


def training_arguments() -> dict[str, Schema]:
    """Limits: ``TrainingArguments._validate_args``, torch's optimizers and data loader, numpy's seed."""
    from transformers.debug_utils import DebugOption
    from transformers.trainer_pt_utils import AcceleratorConfig

    from schemas.library_tables import of_dataclass

    options = "|".join(each.value for each in DebugOption)
    mapping_or_text = either({"type": "object"}, JSON_TEXT, NULL)
    return {
        "accelerator_config": either(of_dataclass(AcceleratorConfig, {}), JSON_OR_FILE, NULL),
        "adam_beta1": {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
        "adam_beta2": {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
        "adam_epsilon": {"type": "number", "minimum": 0},
        "dataloader_num_workers": COUNT,
        "dataset_kwargs": mapping_or_text,
        "debug": either({"type": "string", "pattern": rf"^\s*(?:(?:{options})(?:\s+|$))*$"}, {"type": "array"}),
        "deepspeed": either({"type": "object"}, JSON_OR_FILE, NULL),
        "fsdp": either(BOOLEAN, STRING, {"type": "array", "items": STRING}, NULL),
        "fsdp_config": either({"type": "object"}, JSON_OR_FILE, NULL),
        "gradient_accumulation_steps": POSITIVE,
        "gradient_checkpointing_kwargs": mapping_or_text,
        "include_num_input_tokens_seen": either(BOOLEAN, {"enum": ["all", "non_padding", "no"]}),
        "label_smoothing_factor": SHARE,
        "learning_rate": {"type": "number", "exclusiveMinimum": 0},
        "logging_steps": {"type": "number", "minimum": 0},
        "lr_scheduler_kwargs": mapping_or_text,
        "max_length": either(POSITIVE, NULL),
        "model_init_kwargs": mapping_or_text,
        "num_train_epochs": {"type": "number", "exclusiveMinimum": 0, "maximum": 1_000_000},
        "pad_to_multiple_of": either(POSITIVE, {"enum": ["auto"]}, {"type": "string", "pattern": r"^\d+$"}, NULL),
        "per_device_eval_batch_size": POSITIVE,
        "per_device_train_batch_size": POSITIVE,
        "save_steps": {"type": "number", "minimum": 0},
        "seed": {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
        "torch_empty_cache_steps": either(POSITIVE, NULL),
        "trackio_static_space_id": either(STRING, {"enum": [False]}, NULL),
        "warmup_steps": {"type": "number", "minimum": 0},
        "weight_decay": {"type": "number", "minimum": 0},
    }


def lora_config() -> dict[str, Schema]:
    """``LoraLayer.update_layer`` and ``reset_lora_parameters``: ranks are positive, more ways of initialisation than
    the annotation lists; ``LoraConfig.__post_init__`` overwrites the type of adapter."""
    ways = ["gaussian", "eva", "olora", "pissa", "corda", "loftq", "orthogonal", "mica", "lora_ga"]
    return {
        "init_lora_weights": either(
            BOOLEAN, {"enum": ways}, {"type": "string", "pattern": r"^pissa_niter_\d+$"}
        ),
        "lora_alpha": {"type": "number"},
        "lora_dropout": SHARE,
        "peft_type": {"enum": ["LORA", None]},
        "r": POSITIVE,
    }  # fmt: skip


def bitsandbytes_config() -> dict[str, Schema]:
    """``BitsAndBytesConfig.post_init``: the threshold must be a float, flags must be booleans. Data types are the names
    in torch that bitsandbytes computes in; the 4-bit types are those of ``bitsandbytes.functional.get_4bit_type`` that
    layers have kernels for."""
    import torch

    computed = sorted(
        name
        for name, found in vars(torch).items()
        if isinstance(found, torch.dtype) and found.is_floating_point and found.itemsize > 1
    )
    stored = ["float16", "float32", "int8", "uint8", "float64", "bfloat16"]
    return {
        "bnb_4bit_compute_dtype": {"enum": [*computed, None]},
        "bnb_4bit_quant_storage": {"enum": [*stored, None]},
        "bnb_4bit_quant_type": {"enum": ["fp4", "nf4"]},
        "llm_int8_skip_modules": either({"type": "array", "items": STRING}, NULL),
        "llm_int8_threshold": {"type": "number", "x-float": True},
        "quant_method": {"enum": ["bitsandbytes"], "default": "bitsandbytes"},
    }


def generation_config() -> dict[str, Schema]:
    """``GenerationConfig.validate`` and the constructors of the logits processors, which insist on floats unless the
    value says that they are not needed."""
    from transformers.generation.configuration_utils import ALL_CACHE_IMPLEMENTATIONS, WatermarkingConfig

    from schemas.library_tables import of_signature

    strictly = either({"enum": [1]}, {"type": "number", "x-float": True, "exclusiveMinimum": 0})
    return {
        "assistant_ensemble_weight": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        "begin_suppress_tokens": TOKENS,
        "bad_words_ids": {"type": "array", "items": TOKENS, "minItems": 1},
        "cache_implementation": {"enum": [*sorted(ALL_CACHE_IMPLEMENTATIONS), "paged"]},
        "early_stopping": either(BOOLEAN, {"enum": ["never"]}),
        "encoder_repetition_penalty": strictly,
        "exponential_decay_length_penalty": {
            "type": "array", "prefixItems": [{"type": "integer"}, {"type": "number"}], "minItems": 2, "maxItems": 2,
        },
        "max_new_tokens": POSITIVE,
        "max_length": COUNT,
        "min_length": COUNT,
        "min_new_tokens": COUNT,
        "min_p": SHARE,
        "no_repeat_ngram_size": COUNT,
        "num_assistant_tokens_schedule": {"enum": ["heuristic", "heuristic_transient", "constant"]},
        "num_beams": POSITIVE,
        "num_return_sequences": POSITIVE,
        "prefill_chunk_size": POSITIVE,
        "repetition_penalty": strictly,
        "sequence_bias": {"type": "array", "minItems": 1},
        "temperature": either({"enum": [0, 1]}, {"type": "number", "x-float": True, "minimum": 0}),
        "top_h": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        "top_k": COUNT,
        "top_p": SHARE,
        "transformers_version": STRING,
        "typical_p": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        "watermarking_config": of_signature(WatermarkingConfig, NESTED["WatermarkingConfig"]),
    }  # fmt: skip
