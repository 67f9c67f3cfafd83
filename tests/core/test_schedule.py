"""Optimizer steps of a training."""

from __future__ import annotations

from typing import Any

import pytest

from studio.core.schedule import schedule


@pytest.mark.parametrize(
    ("rows", "arguments", "devices", "epochs", "each", "steps"),
    [
        (2233, {"per_device_train_batch_size": 16}, 1, 2.0, 140, 280),
        (10, {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 2}, 1, 3.0, 3, 9),
        (10, {}, 1, 1.0, 2, 2),
        (10, {}, 2, 1.0, 1, 1),
        (9, {"per_device_train_batch_size": 4, "dataloader_drop_last": True}, 1, 1.0, 2, 2),
        (3, {"per_device_train_batch_size": 4, "dataloader_drop_last": True}, 1, 1.0, 1, 1),
        (10, {"per_device_train_batch_size": 1}, 1, 0.25, 10, 3),
        (10, {"max_steps": 7}, 1, 1.0, 2, 7),
        (10, {"max_steps": -1}, 1, 1.0, 2, 2),
        (10, {"per_device_train_batch_size": "many", "gradient_accumulation_steps": True}, 1, 1.0, 2, 2),
        (10, {"packing": True}, 1, 1.0, None, None),
        (0, {}, 1, 1.0, None, None),
    ],
)
def test_steps_are_counted_as_the_trainer_counts_them(
    rows: int, arguments: dict[str, Any], devices: int, epochs: float, each: int | None, steps: int | None
) -> None:
    made = schedule(rows, arguments, devices, epochs)
    assert (made.steps_per_epoch, made.steps) == (each, steps)
