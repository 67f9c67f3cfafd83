"""Which library class reads a Config, by its type."""

from __future__ import annotations

TABLES = {
    "training_arguments": "sft_config.json",
    "lora_config": "lora_config.json",
    "bitsandbytes_config": "bitsandbytes_config.json",
    "generation_config": "generation_config.json",
    "axolotl": "axolotl.json",
}
"""Config type to the file, below ``data/``, that says what its library accepts. Other types are free in form."""
