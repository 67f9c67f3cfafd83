"""Observing adapters: digest, rank, target modules, and the base model named inside."""

from __future__ import annotations

import json
from pathlib import Path

from studio.core.json_values import refusal
from studio.load import files, safetensors_header
from studio.load.models import PICKLES
from studio.load.observation import Defect, Unusable, folder_files, leaving, missing, outside, unreadable
from studio.load.recollection import folder_digest
from studio.resources.adapter import AdapterFacts, AdapterSpec, AdapterType
from studio.resources.model import Model

ADAPTER_WEIGHTS = "adapter_model.safetensors"


def observe(spec: AdapterSpec, root: Path) -> AdapterFacts | Unusable | None:
    """Facts of an adapter in the project; None for one on the network or still to be trained."""
    if spec.type != AdapterType.PROJECT or not spec.location:
        return None
    path = files.inside(root, spec.location)
    if path is None:
        return outside(spec.location)
    try:
        if not path.is_dir():
            return missing(root, spec.location, "the adapter folder", folder=True)
        content = folder_files(path)
        return leaving(spec.location, content, root) or _folder(spec.location, content)
    except OSError as error:
        return unreadable(spec.location, error)


def is_named(base_model: str, model: Model) -> bool:
    """Whether the base model named in an adapter is ``model``. Only the last part of a name is compared, because the
    same model has other paths on other machines."""
    names = (model.metadata.name, model.spec.huggingface_model_name, model.spec.location)
    return _last(base_model) in {_last(name) for name in names if name}


def _last(name: str) -> str:
    """The last part of a path or hub name, without its case."""
    return name.replace("\\", "/").rstrip("/").rpartition("/")[2].casefold()


def _folder(location: str, content: dict[str, Path]) -> AdapterFacts | Unusable:
    if ADAPTER_WEIGHTS not in content and any(name.endswith(PICKLES) for name in content):
        hint = "a pickle can run code when it is read; save the adapter with save_pretrained (safetensors)"
        return Unusable(Defect.PICKLE, f"{location!r} holds pickled weights only", hint)
    lacking = [name for name in ("adapter_config.json", ADAPTER_WEIGHTS) if name not in content]
    if lacking:
        hint = "save it with PEFT's save_pretrained"
        return Unusable(Defect.INCOMPLETE, f"{location!r} lacks {' and '.join(lacking)}", hint)
    if broken := safetensors_header.fault(content[ADAPTER_WEIGHTS]):
        hint = "fetch the file again; with Git LFS: git lfs pull"
        return Unusable(Defect.SYNTAX, f"{location}/{ADAPTER_WEIGHTS} {broken}", hint)
    try:
        config = json.loads(content["adapter_config.json"].read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        return Unusable(Defect.SYNTAX, f"{location}/adapter_config.json: {refusal(error)}", "save the adapter again")
    config = config if isinstance(config, dict) else {}
    rank, modules = config.get("r"), config.get("target_modules")
    return AdapterFacts(
        folder_digest({name: content[name] for name in ("adapter_config.json", ADAPTER_WEIGHTS)}),
        rank if isinstance(rank, int) else None,
        tuple(sorted(map(str, modules))) if isinstance(modules, list) else (),
        str(config.get("base_model_name_or_path") or ""),
    )
