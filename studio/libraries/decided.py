"""Keys that the jobs of this system set themselves: what a user writes there does not count, or is refused.

Rules say so before a job runs; ``studio/jobs`` acts on the same tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

NOTHING_IS_PUBLISHED = "a job publishes nothing; export the adapter instead"
MLFLOW = "runs are logged to MLflow"
SUPERVISED = "jobs fine-tune on texts; preferences and rewards need data of another kind"
WHOLE = "jobs train an adapter, not the weights of the base model"
VOCABULARY = "the adapter would no longer fit its base model, whose vocabulary is another"
BASE_MODEL, LAUNCHED = "the job's base_model decides", "the job's num_gpu and num_workers decide"
RESUMES = "a job resumes from its own latest checkpoint"
LOG_SHARE, SAVE_SHARE = 0.02, 0.2
"""Shares of a run after which a job logs and saves, unless its training arguments say otherwise."""
EVALUATION_SHARE = 0.1
"""Share of a run after which a job that may stop early evaluates, unless its training arguments say otherwise."""
NEW_TOKENS = 64
"""Tokens of an answer at most, unless the generation config says otherwise."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Why a value does not count, or is refused; ``applies`` says for which values."""

    why: str
    applies: Callable[[Any], bool] = lambda value: value is not None


def _other_adapter(value: Any) -> bool:
    return value not in (None, "", "lora", "qlora")


def _elsewhere(value: Any) -> bool:
    return value not in (None, "none", "mlflow", [], ["mlflow"], ["none"])


def _several(value: Any) -> bool:
    return isinstance(value, int) and value > 1


def _other_metric(value: Any) -> bool:
    return value not in (None, "loss", "eval_loss")


def _other_task(value: Any) -> bool:
    return value not in (None, "CAUSAL_LM")


IGNORED: Mapping[str, Mapping[str, Decision]] = {
    "training_arguments": {
        "output_dir": Decision("outputs go to the run's folder"),
        "completion_only_loss": Decision("the job's loss decides"),
        "dataset_text_field": Decision("the prompt makes the text"),
        "report_to": Decision(MLFLOW, _elsewhere),
        "run_name": Decision(MLFLOW),
        "resume_from_checkpoint": Decision(RESUMES),
        "save_only_model": Decision("a job that resumes goes on where it was, optimizer and all", bool),
        "ignore_data_skip": Decision("a job that resumes goes on with the rows that come next", bool),
        "model_init_kwargs": Decision("the job loads the base model"),
        "hub_model_id": Decision(NOTHING_IS_PUBLISHED),
        "hub_strategy": Decision(NOTHING_IS_PUBLISHED),
        "hub_private_repo": Decision(NOTHING_IS_PUBLISHED),
        "hub_always_push": Decision(NOTHING_IS_PUBLISHED, bool),
        "hub_revision": Decision(NOTHING_IS_PUBLISHED),
        "do_train": Decision("the job decides what is run", bool),
        "do_eval": Decision("eval_strategy decides", bool),
        "do_predict": Decision("predictions are an EvaluationJob", bool),
    },
    "lora_config": {"base_model_name_or_path": Decision("the job's base_model decides")},
    "generation_config": {
        "pad_token_id": Decision("the tokenizer decides"),
        "bos_token_id": Decision("the tokenizer decides"),
        "max_length": Decision(f"max_new_tokens decides, {NEW_TOKENS} when it is not given"),
    },
    "axolotl": {
        "base_model": Decision(BASE_MODEL),
        "base_model_config": Decision(BASE_MODEL),
        "tokenizer_config": Decision(BASE_MODEL),
        "revision_of_model": Decision(BASE_MODEL),
        "trust_remote_code": Decision("allow_remote_code in studio.yaml decides", bool),
        "output_dir": Decision("outputs go to the run's folder"),
        "dataset_prepared_path": Decision("outputs go to the run's folder"),
        "val_set_size": Decision("the job's train_test_split decides", bool),
        "test_datasets": Decision("the job's train_test_split decides", bool),
        "resume_from_checkpoint": Decision(RESUMES),
        "auto_resume_from_checkpoints": Decision(RESUMES, bool),
        "save_only_model": Decision("a job resumes from its checkpoints", bool),
        "use_wandb": Decision(MLFLOW, bool),
        "use_comet": Decision(MLFLOW, bool),
        "use_trackio": Decision(MLFLOW, bool),
        "use_otel_metrics": Decision(MLFLOW, bool),
        "use_mlflow": Decision(MLFLOW, bool),
        "use_tensorboard": Decision(MLFLOW, bool),
        "mlflow_tracking_uri": Decision(MLFLOW, bool),
        "mlflow_experiment_name": Decision(MLFLOW, bool),
        "mlflow_run_name": Decision(MLFLOW, bool),
        "hf_mlflow_log_artifacts": Decision(MLFLOW, bool),
        "world_size": Decision(LAUNCHED),
        "local_rank": Decision(LAUNCHED),
        "device": Decision(LAUNCHED),
        "axolotl_config_path": Decision("the job writes the configuration that is run"),
    },
}
"""Config type to key to why a value there does not count."""
REFUSED: Mapping[str, Mapping[str, Decision]] = {
    "training_arguments": {
        "push_to_hub": Decision(NOTHING_IS_PUBLISHED, bool),
        "assistant_only_loss": Decision("the job's loss decides; write loss: assistant there", bool),
        "chat_template_path": Decision("the prompt's chat_template decides; write it there"),
        "metric_for_best_model": Decision("trl measures the held-out loss alone; write eval_loss", _other_metric),
        "greater_is_better": Decision("the best held-out loss is the lowest", bool),
        "hub_token": Decision("secrets are names of variables, never values", bool),
    },
    "lora_config": {
        "inference_mode": Decision("the adapter would be frozen, and nothing trained", bool),
        "task_type": Decision("jobs train causal language models; write CAUSAL_LM, or remove it", _other_task),
    },
    "generation_config": {
        "num_return_sequences": Decision("jobs take one answer to a prompt", _several),
        "return_dict_in_generate": Decision("jobs read the tokens alone", bool),
        "stop_strings": Decision("generation in a job ends at tokens, not at texts", bool),
        "token_healing": Decision("jobs complete the prompt as it is", bool),
    },
    "axolotl": {
        "hub_model_id": Decision(NOTHING_IS_PUBLISHED, bool),
        "push_dataset_to_hub": Decision(NOTHING_IS_PUBLISHED, bool),
        "adapter": Decision("jobs train LoRA adapters; write lora or qlora", _other_adapter),
        "lora_model_dir": Decision("a job trains a new adapter", bool),
        "merge_lora": Decision("weights are merged by an export", bool),
        "relora": Decision(WHOLE, bool),
        "unfrozen_parameters": Decision(WHOLE, bool),
        "tokens": Decision(VOCABULARY, bool),
        "added_tokens_overrides": Decision(VOCABULARY, bool),
        "resize_token_embeddings_to_32x": Decision(VOCABULARY, bool),
        "rl": Decision(SUPERVISED, bool),
        "reward_model": Decision(SUPERVISED, bool),
        "process_reward_model": Decision(SUPERVISED, bool),
        "pretraining_dataset": Decision("the job's dataset decides", bool),
        "streaming": Decision("the job's rows are read from its own files", bool),
        "torchdistx_path": Decision("jobs load no code from a path", bool),
        "use_ray": Decision("jobs start their own processes", bool),
    },
}
"""Config type to key to why a job with such a value is refused, or would fail."""


def applying(table: Mapping[str, Mapping[str, Decision]], type: str, values: Mapping[str, Any]) -> dict[str, str]:
    """The keys of ``values`` that a decision is about, and why."""
    decisions = table.get(type, {})
    return {
        key: decisions[key].why for key in values if key in decisions and decisions[key].applies(values[key])
    }  # fmt: skip


def to_stop_early(given: Mapping[str, Any]) -> dict[str, Any]:
    """Training arguments that early stopping puts in force where ``given`` says nothing: evaluations, a checkpoint at
    each of them, and the best one kept."""
    strategy = given.get("eval_strategy") or _evaluated_as_saved(given.get("save_strategy"))
    saved = given.get("save_strategy") or strategy
    found: dict[str, Any] = {"eval_strategy": strategy, "save_strategy": saved, "load_best_model_at_end": saved != "no"}
    if strategy == "steps":
        found["eval_steps"] = given.get("eval_steps", EVALUATION_SHARE)
    if saved == "steps":
        found["save_steps"] = given.get("save_steps", found.get("eval_steps", EVALUATION_SHARE))
    return found


def _evaluated_as_saved(save_strategy: Any) -> str:
    return "epoch" if save_strategy == "epoch" else "steps"
