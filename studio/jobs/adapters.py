"""Adapters on disk: written so that the same training gives the same bytes, and nothing names this machine."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from studio.core.fingerprints import folder_digest, tree
from studio.jobs import tokenizers
from studio.jobs.checkpoints import PICKLED_ARGUMENTS
from studio.jobs.locations import ADAPTER_CONFIG, read_json

READABLE = 0o644


def save(model: Any, tokenizer: PreTrainedTokenizerBase, base_name: str, folder: Path) -> str:
    """Write adapter and tokenizer to ``folder`` in one step and return their digest.

    ``base_name`` replaces the path that the base model was loaded from.
    """
    building = folder.with_name(f".{folder.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    # Embeddings are never resized here, so there are none to save; "auto" would ask the hub whether they were.
    model.save_pretrained(str(building), save_embedding_layers=False)
    tokenizers.save(tokenizer, building)
    (building / PICKLED_ARGUMENTS).unlink(missing_ok=True)
    (building / "README.md").unlink(missing_ok=True)
    _normalise(building / ADAPTER_CONFIG, base_name)
    for path in tree(building).values():
        path.chmod(READABLE)
    shutil.rmtree(folder, ignore_errors=True)
    building.rename(folder)
    return digest(folder)


def digest(folder: Path) -> str:
    """Content digest of every file of a folder."""
    return folder_digest(tree(folder))


def size(folder: Path) -> int:
    """Bytes of every file of a folder; 0 without one."""
    return sum(path.stat().st_size for path in tree(folder).values())


def _normalise(path: Path, base_name: str) -> None:
    """Sort what PEFT keeps in sets, whose order changes from process to process."""
    config = read_json(path)
    config["base_model_name_or_path"] = base_name
    for key, value in config.items():
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            config[key] = sorted(value)
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
