"""Trainings that several workers share: how many rows a step learns from, and models that are split among them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from trl import SFTConfig, SFTTrainer

from studio.core.errors import JobError
from studio.core.jobspec import JobSpec, TrainingWork
from studio.jobs import ranks
from studio.jobs.model.devices import Device

SPLITTERS = ("fsdp", "deepspeed")
LAST = 1000
"""Behind torch's own ways of restoring, which are tried in this order."""
SETTINGS = ("accelerator_config", "deepspeed", "fsdp_config")
"""Training arguments that may name a JSON file of the project."""


def with_settings(work: TrainingWork, spec: JobSpec) -> TrainingWork:
    """The same work, with what is in files in place of their names: libraries would look for them elsewhere.

    Raises JobError for a file that cannot be read.
    """
    given = work.training_arguments
    named = {key: given[key] for key in SETTINGS if _names_file(given.get(key))}
    held = {key: _read(key, spec.path(name)) for key, name in named.items()}
    return work.model_copy(update={"training_arguments": {**given, **held}}) if held else work


def check(arguments: dict[str, Any], device: Device) -> None:
    """Raises JobError for a model that is to be split where the libraries would leave it whole, and not say so."""
    for key in SPLITTERS:
        if not arguments.get(key):
            continue
        if ranks.world_size() == 1:
            raise JobError(
                f"training arguments: {key} splits the model among workers, and there is one", "raise num_workers"
            )
        if device.is_cpu:
            raise JobError(
                f"training arguments: {key} needs GPUs: on the CPU every worker holds the whole model",
                f"remove {key}, or ask for GPUs",
            )


def batch(config: SFTConfig) -> str:
    """How many rows a step learns from, in words."""
    each, accumulated = config.train_batch_size, config.gradient_accumulation_steps
    workers = ranks.world_size()
    return f"{each} rows x {workers} workers x {accumulated} accumulated = {each * workers * accumulated} rows a step"


def make_restorable() -> None:
    """Several processes on CPUs can go on from a checkpoint: transformers has it loaded to ``cpu:0``, ``cpu:1`` …, for
    which torch knows no way (transformers 5.17, torch 2.13)."""
    if ranks.world_size() > 1:
        torch.serialization.register_package(LAST, lambda storage: None, _on_cpu)


def _on_cpu(storage: Any, place: str) -> Any:
    return storage if place.startswith("cpu:") else None


def await_others() -> None:
    """Wait until all workers are here: each writes a part of a checkpoint, which is whole only then."""
    if ranks.world_size() > 1 and torch.distributed.is_initialized():
        torch.distributed.barrier()


def is_split(trainer: SFTTrainer) -> bool:
    """Whether no worker alone holds the model: then all of them take part in whatever it computes."""
    return bool(trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled)


def whole(trainer: SFTTrainer) -> dict[str, Any] | None:
    """The adapter's weights, gathered from all workers, each of which must call this; None where nothing is split."""
    if trainer.is_deepspeed_enabled:
        return trainer.accelerator.get_state_dict(trainer.model_wrapped)
    return gathered(trainer.model_wrapped) if is_split(trainer) else None


def gathered(model: Any) -> dict[str, Any]:
    """The trained weights of a model that FSDP split; the frozen ones would be the whole base model. On workers beyond
    the first it is empty."""
    options = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True)
    return get_model_state_dict(model, options=options)


def _names_file(value: Any) -> bool:
    return isinstance(value, str) and not value.lstrip().startswith("{")


def _read(key: str, path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise JobError(f"training arguments: {key}: {path} cannot be read: {error}") from error
