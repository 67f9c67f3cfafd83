"""Where a model's or an adapter's files are, on this machine's disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from studio.core.errors import JobError
from studio.core.jobspec import AdapterInput, ModelInput
from studio.core.premises import Premises
from studio.jobs.inputs import hub, logged

CONFIG = "config.json"
ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
HUB = "huggingface"


def model_folder(model: ModelInput, spec: Premises) -> Path:
    """A folder with ``config.json`` and safetensors. Raises JobError when it vanished or holds only pickles."""
    folder = _folder("model", model, spec)
    if not (folder / CONFIG).exists():
        raise JobError(f"model {model.name}: {folder} has no {CONFIG}")
    if not list(folder.glob("*.safetensors")):
        raise JobError(
            f"model {model.name}: {folder} has no safetensors; pickled weights are refused",
            "convert them with save_pretrained(..., safe_serialization=True) in a place you trust",
        )
    return folder


def adapter_folder(adapter: AdapterInput, spec: Premises) -> Path:
    """A folder with ``adapter_config.json`` and ``adapter_model.safetensors``; raises JobError otherwise."""
    folder = _folder("adapter", adapter, spec)
    for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS):
        if not (folder / name).exists():
            raise JobError(f"adapter {adapter.name}: {folder} has no {name}")
    return folder


def public_name(model: ModelInput) -> str:
    """The name to write into files that travel: never a path of this machine."""
    return model.huggingface_name or model.name


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; raises JobError when it is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise JobError(f"{path} cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise JobError(f"{path} is not a JSON object")
    return value


def _folder(what: str, source: ModelInput | AdapterInput, spec: Premises) -> Path:
    if source.logged:
        return logged.folder(source, source.logged, spec)
    if source.type == HUB:
        return hub.download(source.huggingface_name, source.revision, spec)
    if not source.location:
        raise JobError(f"{what} {source.name}: type {source.type} has no location to read from")
    folder = spec.path(source.location)
    if not folder.is_dir():
        raise JobError(f"{what} {source.name}: the folder {folder} does not exist", "was it moved or cleaned up?")
    return folder
