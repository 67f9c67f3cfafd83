"""Which conflicts there are to look for, by Config type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from studio.libraries import adapter_conflicts as adapter
from studio.libraries import axolotl_conflicts as axolotl
from studio.libraries import generation_conflicts as generation
from studio.libraries import training_conflicts as training
from studio.libraries.conflict import Conflict, Finder, Values

CONTRADICTIONS: Mapping[str, tuple[Finder, ...]] = {
    "training_arguments": training.CONTRADICTIONS,
    "lora_config": adapter.LORA_CONTRADICTIONS,
    "bitsandbytes_config": adapter.WIDTH_CONTRADICTIONS,
    "generation_config": generation.CONTRADICTIONS,
    "axolotl": axolotl.CONTRADICTIONS,
}
"""What the library refuses, or nobody can mean."""
IDLE: Mapping[str, tuple[Finder, ...]] = {
    "training_arguments": training.IDLE,
    "lora_config": adapter.LORA_IDLE,
    "bitsandbytes_config": adapter.WIDTH_IDLE,
    "generation_config": generation.IDLE,
    "axolotl": axolotl.IDLE,
}
"""Settings that do nothing beside the others."""


def found(finders: Mapping[str, tuple[Finder, ...]], type: str, values: Values) -> Iterator[Conflict]:
    """The conflicts of one configuration."""
    for find in finders.get(type, ()):
        yield from find(values)
