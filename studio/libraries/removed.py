"""Keys that the libraries no longer take, and what to write instead.

History: every field of ``TrainingArguments`` (transformers 4.0 to 5.0), ``SFTConfig`` (trl 0.8 to 1.0), ``LoraConfig``
(peft 0.3 on) and ``GenerationConfig`` (transformers 4.23 on) and every argument of ``SFTTrainer`` that today's class
lacks; for Axolotl the models ``DeprecatedParameters`` and ``AxolotlInputConfig`` of 0.19.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from studio.libraries.words import plainly


@dataclass(frozen=True, slots=True)
class Removed:
    """``instead`` is a line to write, in which {} stands for the old value; "" when there is none. ``why`` is said when
    there is none, or when the old value was off. Values that are ``harmless`` are not worth a word."""

    instead: str = ""
    why: str = "it has no successor"
    flag: bool = False
    harmless: tuple[Any, ...] = ()

    def hint(self, value: Any) -> str:
        """What to do with a key that had ``value``."""
        if not self.instead or (self.flag and not value):
            return f"remove it: {self.why}" if not self.instead else "remove it: it is off"
        return f"write {self.instead.format(plainly(value))}"


def _gone(why: str, *names: str) -> dict[str, Removed]:
    return dict.fromkeys(names, Removed(why=why))


def _renamed(**names: str) -> dict[str, Removed]:
    return {old: Removed(f"{new}: {{}}") for old, new in names.items()}


def _turned_on(**lines: str) -> dict[str, Removed]:
    return {old: Removed(line, flag=True) for old, line in lines.items()}


def _python_only(*names: str) -> dict[str, Removed]:
    return dict.fromkeys(names, Removed(why="only a Python object can fill it", harmless=(None,)))


def _silent_when(value: Any, names: Iterable[str], why: str) -> dict[str, Removed]:
    return dict.fromkeys(names, Removed(why=why, harmless=(None, value)))


TRAINING_ARGUMENTS: dict[str, Removed] = {
    **_renamed(
        warmup_ratio="warmup_steps",
        evaluation_strategy="eval_strategy",
        max_seq_length="max_length",
        no_cuda="use_cpu",
        use_liger="use_liger_kernel",
        per_gpu_train_batch_size="per_device_train_batch_size",
        per_gpu_eval_batch_size="per_device_eval_batch_size",
        torchdynamo="torch_compile_backend",
        xpu_backend="ddp_backend",
        sharded_ddp="fsdp",
    ),
    **_turned_on(
        group_by_length="train_sampling_strategy: group_by_length",
        adafactor="optim: adafactor",
        tpu_metrics_debug="debug: tpu_metrics_debug",
        include_inputs_for_metrics="include_for_metrics: [inputs]",
    ),
    "split_batches": Removed("accelerator_config: {{split_batches: {}}}"),
    "dispatch_batches": Removed("accelerator_config: {{dispatch_batches: {}}}"),
    "fsdp_min_num_params": Removed("fsdp_config: {{min_num_params: {}}}"),
    "fsdp_transformer_layer_cls_to_wrap": Removed("fsdp_config: {{transformer_layer_cls_to_wrap: {}}}"),
    **_gone("fp16: true or bf16: true is all it takes", "fp16_backend", "half_precision_backend", "fp16_opt_level"),
    **_gone("every run has a folder of its own", "overwrite_output_dir"),
    **_gone("weights are always safetensors", "save_safetensors"),
    **_gone("runs are logged to MLflow", "logging_dir"),
    **_gone("a job publishes nothing", "push_to_hub_model_id", "push_to_hub_organization"),
    **_gone("the variable that the project's hf_token names holds the token", "push_to_hub_token"),
    **_gone("the job says how fast it trains", "include_tokens_per_second"),
    **_gone("the device is found without it", "use_mps_device", "use_ipex", "tpu_num_cores", "_n_gpu", "tp_size"),
    **_gone("it did nothing any more", "jit_mode_eval", "mp_parameters", "past_index", "ray_scope", "infinite"),
    **_gone("it did nothing any more", "use_legacy_prediction_loop"),
    **_gone("packing needs no estimate any more", "num_of_sequences", "chars_per_token", "dataset_batch_size"),
    **_gone("the job loads the base model and its tokenizer", "model", "model_init", "tokenizer", "processing_class"),
    **_gone("the job's dataset and train_test_split decide", "train_dataset", "eval_dataset"),
    **_gone("the job's prompt decides", "formatting_func"),
    **_gone("write its settings into the job's lora_config", "peft_config"),
    **_gone("optim and lr_scheduler_type decide", "optimizers", "optimizer_cls_and_kwargs"),
    **_python_only("parallelism_config", "args", "callbacks", "compute_loss_func", "compute_metrics", "data_collator"),
    **_python_only("preprocess_logits_for_metrics"),
}
LORA: dict[str, Removed] = {
    **_python_only("runtime_config"),
    **_gone("target_modules decides", "enable_lora"),
    **_gone("export the model with weights: merged", "merge_weights"),
}
MOVED = "this way of decoding moved out of transformers to remote code, which is not run"
GENERATION: dict[str, Removed] = {
    **_silent_when(None, ("penalty_alpha", "dola_layers", "constraints", "force_words_ids"), MOVED),
    **_silent_when(1, ("num_beam_groups",), MOVED),
    **_silent_when(0, ("diversity_penalty",), MOVED),
    **_silent_when(False, ("low_memory",), "beam search needs it no more"),
    **_silent_when(None, ("forced_decoder_ids", "generation_kwargs"), "generate takes it no more"),
    **_silent_when(False, ("return_legacy_cache",), "there is no legacy cache any more"),
    **_python_only("compile_config", "continuous_batching_config"),
}
TRL_LACKS = "the trl that Axolotl uses has no such setting"
KERNELS = "lora_mlp_kernel, lora_qkv_kernel and lora_o_kernel took its place"
UNSLOTH = ("cross_entropy_loss", "lora_mlp", "lora_qkv", "lora_o", "rms_norm", "rope")
AXOLOTL: dict[str, Removed] = {
    "max_packed_sequence_len": Removed("sequence_len: {} and sample_packing: true", harmless=(None, 0)),
    "rope_scaling": Removed("model_config: {{rope_scaling: {}}}", harmless=(None,)),
    **_silent_when(None, ("dpo_use_logits_to_keep", "dpo_generate_during_eval", "dpo_norm_loss"), TRL_LACKS),
    **_silent_when(None, ("rpo_alpha",), TRL_LACKS),
    **_silent_when(False, ("s2_attention", "flash_attn_rms_norm"), "Axolotl supports it no more"),
    **_silent_when(False, (f"unsloth_{name}" for name in UNSLOTH), KERNELS),
}
REMOVED: dict[str, dict[str, Removed]] = {
    "training_arguments": TRAINING_ARGUMENTS,
    "lora_config": LORA,
    "generation_config": GENERATION,
    "axolotl": AXOLOTL,
}
"""Config type to key to what became of it."""
SUCCESSORS: dict[str, dict[str, str]] = {
    "axolotl": {
        "noisy_embedding_alpha": "neftune_noise_alpha",
        "dpo_beta": "rl_beta",
        "evaluation_strategy": "eval_strategy",
        "eval_table_size": "generate_samples",
        "eval_max_new_tokens": "generation_max_new_tokens",
        "dataset_processes": "dataset_num_proc",
        "gc_steps": "torch_empty_cache_steps",
        "pretrain_multipack_buffer_size": "streaming_multipack_buffer_size",
        "fsdp": "fsdp_config",
        "fsdp_final_state_dict_type": "fsdp_config: {final_state_dict_type: …}",
        "flash_attention": "attn_implementation: flash_attention_2",
        "flex_attention": "attn_implementation: flex_attention",
        "sage_attention": "attn_implementation: sage",
        "sdp_attention": "attn_implementation: sdpa",
        "xformers_attention": "attn_implementation: xformers",
        "eager_attention": "attn_implementation: eager",
    },
}
"""Keys that are still taken with a warning of their library, and what to write instead."""
FAMILIAR: dict[str, dict[str, str]] = {
    "training_arguments": {
        "batch_size": "per_device_train_batch_size",
        "micro_batch_size": "per_device_train_batch_size",
        "epochs": "num_train_epochs",
        "num_epochs": "num_train_epochs",
        "lr": "learning_rate",
        "lr_scheduler": "lr_scheduler_type",
        "optimizer": "optim",
        "sequence_len": "max_length",
        "gradient_accumulation": "gradient_accumulation_steps",
    },
    "lora_config": {
        "rank": "r",
        "lora_r": "r",
        "lora_rank": "r",
        "alpha": "lora_alpha",
        "dropout": "lora_dropout",
        "lora_target_modules": "target_modules",
        "lora_target_linear": "target_modules: all-linear",
    },
    "bitsandbytes_config": {
        "bits": "load_in_4bit: true",
        "compute_dtype": "bnb_4bit_compute_dtype",
        "quant_type": "bnb_4bit_quant_type",
        "double_quant": "bnb_4bit_use_double_quant",
        "use_double_quant": "bnb_4bit_use_double_quant",
    },
    "generation_config": {"max_tokens": "max_new_tokens", "stop": "stop_strings", "n": "num_return_sequences"},
    "axolotl": {
        "max_length": "sequence_len",
        "max_seq_length": "sequence_len",
        "num_train_epochs": "num_epochs",
        "per_device_train_batch_size": "micro_batch_size",
        "optim": "optimizer",
        "lr_scheduler_type": "lr_scheduler",
        "r": "lora_r",
        "target_modules": "lora_target_modules",
        "learning_rate_scheduler": "lr_scheduler",
    },
}
"""Names that other tools and papers use, and what this library calls the same thing."""
