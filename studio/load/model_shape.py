"""The dimensions of a decoder, from its config.json and the headers of its weights files.

Configs come with models that anyone may add in a pull request: a value that is no plausible dimension means that the
shape is unknown, never an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from studio.load.safetensors_header import Tensor
from studio.resources.model import ModelShape, Module

LARGEST = 1 << 24
"""A dimension beyond this is no dimension; the largest vocabularies have about 2**18 tokens."""
MOST_TENSORS = 100_000
NAMES: dict[str, tuple[str, ...]] = {
    "layers": ("num_hidden_layers", "n_layer", "num_layers"),
    "hidden": ("hidden_size", "n_embd", "d_model"),
    "intermediate": ("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size"),
    "heads": ("num_attention_heads", "n_head", "n_heads"),
    "vocabulary": ("vocab_size",),
}
"""What architectures of transformers call the same dimension (read in its configuration classes, 5.17)."""
OTHERWISE_NAMED = ("experts", "vision", "visual", "audio", "language_model", "text_model")
"""Parts whose modules transformers 5 names otherwise than their files do: it fuses the experts of a layer into one
tensor, and moves the parts of multimodal models (its conversion_mapping)."""
HEAD = "lm_head"
"""The output layer. Files leave it out where it shares the weights of the embedding."""


def shape(config: Mapping[str, Any], tensors: Mapping[str, Tensor], digest: str) -> ModelShape | None:
    """The shape of a decoder; None where the config does not say it, or the weights are already quantised."""
    if config.get("quantization_config") or len(tensors) > MOST_TENSORS:
        return None
    found = {name: _first(config, keys) for name, keys in NAMES.items()}
    layers, hidden, heads = found["layers"], found["hidden"], found["heads"]
    if not (layers and hidden and heads and found["vocabulary"]):
        return None
    return ModelShape(
        digest=digest,
        type=str(config.get("model_type", "")),
        layers=layers,
        hidden=hidden,
        intermediate=found["intermediate"] or 4 * hidden,  # what GPT-2 and its kin mean when they say nothing
        heads=heads,
        kv_heads=_first(config, ("num_key_value_heads",)) or heads,
        head_size=_first(config, ("head_dim",)) or max(1, hidden // heads),
        vocabulary=found["vocabulary"],
        parameters=sum(tensor.numbers for tensor in tensors.values()),
        stored=sum(tensor.size for tensor in tensors.values()),
        matrices=_matrices(tensors),
        modules=_modules(tensors),
    )


def _first(config: Mapping[str, Any], keys: Iterable[str]) -> int:
    """The first plausible dimension under one of the keys; 0 when there is none."""
    values = (config.get(key) for key in keys)
    return next((value for value in values if type(value) is int and 0 < value <= LARGEST), 0)


def _matrices(tensors: Mapping[str, Tensor]) -> tuple[Module, ...]:
    """Modules with a weight of two dimensions, sorted by name."""
    flat = {name: t.shape for name, t in sorted(tensors.items()) if name.endswith(".weight") and len(t.shape) == 2}
    return tuple(Module(name.removesuffix(".weight"), rows, columns) for name, (rows, columns) in flat.items())


def _modules(tensors: Mapping[str, Tensor]) -> frozenset[str] | None:
    """Every module that a tensor belongs to, the outer ones too."""
    found = {HEAD}
    for name in tensors:
        parts = name.split(".")[:-1]
        if any(part in OTHERWISE_NAMED for part in parts):
            return None
        found.update(".".join(parts[:end]) for end in range(1, len(parts) + 1))
    return frozenset(found)
