"""LoRA: its configuration, checked, and its place on a model."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftMixedModel, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors import safe_open
from transformers import PreTrainedModel, set_seed

from studio.core.errors import JobError
from studio.core.suggest import did_you_mean
from studio.jobs.inputs.locations import ADAPTER_WEIGHTS

LORA = ".lora_"
"""Part of the name of every LoRA matrix."""
KNOWN = frozenset(inspect.signature(LoraConfig).parameters)


def config(values: dict[str, Any]) -> LoraConfig:
    """A LoraConfig for causal language models; raises JobError for unknown keys and refused values."""
    for key in sorted(set(values) - KNOWN):
        raise JobError(f"lora_config: unknown key {key!r}", did_you_mean(key, KNOWN))
    try:
        return LoraConfig(**{"task_type": "CAUSAL_LM", **values})
    except (TypeError, ValueError) as error:
        raise JobError(f"lora_config: {error}") from error


def attach(model: PreTrainedModel, wanted: LoraConfig, seed: int) -> PeftModel | PeftMixedModel:
    """The model with fresh LoRA weights, drawn from ``seed``. Raises JobError for target modules it lacks."""
    _check_targets(model, wanted)
    set_seed(seed)
    try:
        return get_peft_model(model, wanted)
    except (TypeError, ValueError) as error:
        raise JobError(f"lora_config does not fit this model: {error}", _linear_hint(model)) from error


@contextmanager
def attached(model: PreTrainedModel, folder: Path, name: str) -> Iterator[PeftModel]:
    """The model with a saved adapter for as long as the context lasts; then the base model is as it was.

    Raises JobError when the adapter was made for another model: PEFT only warns about weights it has no place for.
    """
    try:
        adapted = PeftModel.from_pretrained(model, str(folder)).eval()
    except torch.OutOfMemoryError:
        raise
    except (TypeError, ValueError, KeyError, RuntimeError) as error:
        raise JobError(f"adapter {name} in {folder} does not fit the base model: {error}") from error
    try:
        held = get_peft_model_state_dict(adapted, save_embedding_layers=False)
        foreign = {key for key in _keys(folder) ^ set(held) if LORA in key}
        if foreign:
            raise JobError(f"adapter {name} in {folder} does not fit the base model: {min(foreign)} has no place")
        yield adapted
    finally:
        adapted.unload()


def is_removable(folder: Path) -> bool:
    """Whether a saved adapter holds LoRA matrices only, so that taking it off leaves the base as it was."""
    return all(LORA in key for key in _keys(folder))


def _keys(folder: Path) -> set[str]:
    with safe_open(folder / ADAPTER_WEIGHTS, framework="pt") as weights:
        return set(weights.keys())


def _check_targets(model: PreTrainedModel, wanted: LoraConfig) -> None:
    """PEFT raises only when every target is missing; one misspelt target would silently stay untrained."""
    if wanted.target_modules is None or isinstance(wanted.target_modules, str):
        return
    names = [name for name, _ in model.named_modules()]
    missing = sorted(
        target
        for target in wanted.target_modules
        if not any(name == target or name.endswith(f".{target}") for name in names)
    )
    if missing:
        raise JobError(f"lora_config: the model has no module named {', '.join(missing)}", _linear_hint(model))


def _linear_hint(model: PreTrainedModel) -> str:
    """Names of the layers that LoRA can target; quantised layers are subclasses of Linear."""
    linear = {name.rpartition(".")[2] for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    return f"its linear layers: {', '.join(sorted(linear))}"
