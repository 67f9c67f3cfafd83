"""How many optimizer steps a training takes (transformers 5.17, Trainer)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

BATCH = 8
"""``per_device_train_batch_size`` when the training arguments say nothing."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """``per_device`` rows at once on each of ``devices``; ``accumulated`` of these make one step. Steps are None when
    packing decides them."""

    per_device: int
    devices: int
    accumulated: int
    epochs: float
    steps_per_epoch: int | None
    steps: int | None

    @property
    def effective(self) -> int:
        """Rows that one step learns from."""
        return self.per_device * self.devices * self.accumulated


def schedule(rows: int, arguments: Mapping[str, Any], devices: int, epochs: float) -> Schedule:
    """The steps of ``epochs`` passes over ``rows``; the last step of an epoch may be smaller."""
    batch = count(arguments.get("per_device_train_batch_size"), BATCH)
    accumulated = count(arguments.get("gradient_accumulation_steps"), 1)
    if arguments.get("packing") is True or rows < 1:
        return Schedule(batch, devices, accumulated, epochs, None, None)
    together = batch * devices
    batches = rows // together if arguments.get("dataloader_drop_last") is True else math.ceil(rows / together)
    each = max(1, math.ceil(batches / accumulated))
    steps = count(arguments.get("max_steps"), math.ceil(epochs * each))
    return Schedule(batch, devices, accumulated, epochs, each, steps)


def count(value: Any, otherwise: int) -> int:
    """A number of things, or the default where none is given; what else is given is reported by rules."""
    return value if type(value) is int and value > 0 else otherwise
