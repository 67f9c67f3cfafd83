"""What the weights depend on beside the job spec and its inputs: seeds, device, threads, and versions of libraries.

The same spec gives the same bytes where all of these are the same. Fewer or more threads add up in another order.
"""

from __future__ import annotations

import platform
from importlib import metadata

from transformers import TrainingArguments

from studio.jobs import ranks
from studio.jobs.model.devices import Device

LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "tokenizers")


def params(arguments: TrainingArguments, device: Device) -> dict[str, str]:
    """By the names that they have in MLflow and in the result."""
    data_seed = arguments.data_seed if arguments.data_seed is not None else arguments.seed
    found = {
        "seed": str(arguments.seed),
        "data_seed": str(data_seed),
        "full_determinism": str(arguments.full_determinism).lower(),
        "device": device.model,
        "threads": str(device.threads),
        "workers": str(ranks.world_size()),
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    return found | {f"version.{name}": metadata.version(name) for name in LIBRARIES}
