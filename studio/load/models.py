"""Observing base models: architecture family and content digest."""

from __future__ import annotations

import json
from pathlib import Path

from studio.core.json_values import refusal
from studio.load import files, safetensors_header
from studio.load.model_shape import shape
from studio.load.observation import Defect, Unusable, folder_files, leaving, missing, outside, unreadable
from studio.load.recollection import folder_digest
from studio.load.safetensors_header import Tensor
from studio.resources.model import ModelFacts, ModelSpec, ModelType

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model", "vocab.txt")


def observe(spec: ModelSpec, root: Path) -> ModelFacts | Unusable | None:
    """Facts of a model in the project; None for one that only the network knows."""
    if spec.type != ModelType.PROJECT or not spec.location:
        return None
    path = files.inside(root, spec.location)
    if path is None:
        return outside(spec.location)
    try:
        if not path.is_dir():
            return missing(root, spec.location, "the model folder", folder=True)
        content = folder_files(path)
        return leaving(spec.location, content, root) or _folder(spec.location, content)
    except OSError as error:
        return unreadable(spec.location, error)


def _folder(location: str, content: dict[str, Path]) -> ModelFacts | Unusable:
    weights = [name for name in content if name.endswith(".safetensors")]
    if not weights and any(name.endswith(PICKLES) for name in content):
        hint = "a pickle can run code when it is read; save the model with save_pretrained (safetensors)"
        return Unusable(Defect.PICKLE, f"{location!r} holds pickled weights only", hint)
    lacking = [
        what
        for what, there in (
            ("config.json", "config.json" in content),
            ("a tokenizer", any(name in content for name in _TOKENIZERS)),
            ("safetensors weights", bool(weights)),
        )
        if not there
    ]
    if lacking:
        hint = "save model and tokenizer into it with save_pretrained"
        return Unusable(Defect.INCOMPLETE, f"{location!r} lacks {' and '.join(lacking)}", hint)
    tensors: dict[str, Tensor] = {}
    for name in weights:
        held = safetensors_header.tensors(content[name])
        if isinstance(held, str):
            hint = "fetch the file again; with Git LFS: git lfs pull"
            return Unusable(Defect.SYNTAX, f"{location}/{name} {held}", hint)
        tensors |= held
    try:
        config = json.loads(content["config.json"].read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        return Unusable(Defect.SYNTAX, f"{location}/config.json: {refusal(error)}", "save the model again")
    config = config if isinstance(config, dict) else {}
    architectures = config.get("architectures")
    family = str(architectures[0]) if isinstance(architectures, list) and architectures else ""
    digest = folder_digest(content)
    return ModelFacts(family, digest, shape=shape(config, tensors, digest))
