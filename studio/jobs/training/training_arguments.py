"""From a job's training arguments to trl's SFTConfig. Nothing is translated silently."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from trl import SFTConfig

from studio.core.errors import JobError
from studio.core.jobspec import SEED, TrainingWork
from studio.core.suggest import did_you_mean
from studio.jobs import ranks
from studio.jobs.model.devices import Device
from studio.libraries.decided import IGNORED, LOG_SHARE, REFUSED, SAVE_SHARE, applying, to_stop_early
from studio.libraries.removed import TRAINING_ARGUMENTS

TYPE = "training_arguments"
KNOWN = frozenset(field.name for field in dataclasses.fields(SFTConfig) if field.init)
KEPT_CHECKPOINTS = 2
BATCH = "per_device_train_batch_size"


@dataclass(frozen=True, slots=True)
class Arguments:
    """The configuration, and what was decided on the user's behalf, in words."""

    config: SFTConfig
    notes: tuple[str, ...]


def build(work: TrainingWork, folder: Path, device: Device, completion_only: bool) -> Arguments:
    """Defaults, then the user's arguments, then what the job decides. Raises JobError for what trl would reject."""
    given = work.training_arguments
    _check_keys(given)
    decided, notes = _decided(given, device)
    values: dict[str, Any] = {
        **_defaults(given, device),
        **(to_stop_early(given) if work.early_stopping else {}),
        **given,
        **decided,
        "output_dir": str(folder),
        "num_train_epochs": work.epochs,
        "learning_rate": work.learning_rate,
        "report_to": "none",
        "completion_only_loss": completion_only,
        "dataset_text_field": "prediction",
    }
    try:
        return Arguments(SFTConfig(**values), tuple(notes))
    except (TypeError, ValueError, ImportError) as error:
        raise JobError(f"training arguments: {error}") from error


def _check_keys(given: dict[str, Any]) -> None:
    for key, why in applying(REFUSED, TYPE, given).items():
        raise JobError(f"training arguments: {key!r} is refused", why)
    for key in sorted(set(given) - KNOWN):
        removed = TRAINING_ARGUMENTS.get(key)
        hint = removed.hint(given[key]) if removed else did_you_mean(key, KNOWN)
        raise JobError(f"training arguments: {key!r} is not an argument of trl's SFTConfig", hint)


def _defaults(given: dict[str, Any], device: Device) -> dict[str, Any]:
    """What the user may override. Non-finite losses are shown, not averaged away; checkpointing saves GPU memory
    at the price of a second forward pass, which buys nothing on CPU. Evaluations while training take no more memory
    than the training: batches of the same size, and of their logits nothing is collected."""
    evaluated = {"per_device_eval_batch_size": given[BATCH]} if BATCH in given else {}
    return {
        **evaluated,
        "prediction_loss_only": True,
        "seed": SEED,
        "disable_tqdm": True,
        "logging_strategy": "steps",
        "logging_steps": LOG_SHARE,
        "logging_nan_inf_filter": False,
        "save_strategy": "steps",
        "save_steps": SAVE_SHARE,
        "save_total_limit": KEPT_CHECKPOINTS,
        "gradient_checkpointing": not device.is_cpu,
        "dataloader_pin_memory": not device.is_cpu,
        "ddp_find_unused_parameters": False if ranks.world_size() > 1 else None,
    }


def _decided(given: dict[str, Any], device: Device) -> tuple[dict[str, Any], list[str]]:
    """Number format and device; what differs from the user's words becomes a note."""
    notes = [f"{key} is ignored: {why}" for key, why in applying(IGNORED, TYPE, given).items()]
    for key in ("num_train_epochs", "learning_rate"):
        if key in given:
            notes.append(f"{key} of the job replaces {given[key]} of its training arguments")
    resumable = {"save_only_model": False, "ignore_data_skip": False}
    if not device.is_cpu:
        half = bool(given.get("fp16")) or device.dtype == torch.float16
        notes += ["use_cpu is ignored: the job asked for a GPU"] if given.get("use_cpu") else []
        return {"use_cpu": False, "fp16": half, "bf16": not half and given.get("bf16", True)} | resumable, notes
    notes += [f"{key} needs a GPU: training in float32" for key in ("fp16", "bf16") if given.get(key)]
    return {"use_cpu": True, "fp16": False, "bf16": False} | resumable, notes
