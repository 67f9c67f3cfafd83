"""A saved LoRA adapter as changes to a base model's tensors.

An adapter holds pairs of matrices for linear layers and embeddings, a magnitude with DoRA, and whole tensors in place
of the base's (``modules_to_save``, trained biases). What is more than that is refused here: merged wrongly it would
load and answer nonsense.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.core.errors import JobError
from studio.jobs.export import safetensors_file
from studio.jobs.export.safetensors_file import FLOATS, Tensor
from studio.jobs.inputs.locations import ADAPTER_CONFIG, ADAPTER_WEIGHTS, read_json

_OWN = re.compile(
    r"base_model\.model\.(?P<module>.+?)\.(?P<part>lora_(A|B|embedding_A|embedding_B|magnitude_vector))"
    r"(\.default)?(\.(?P<end>weight|bias))?\Z"
)
_WHOLE = re.compile(r"base_model\.model\.(?P<name>.+)\Z")
_WRAPPERS = re.compile(r"\.(base_layer|modules_to_save(\.default)?)(?=\.)")
"""What PEFT puts between a module's name and its parameter's."""
_UNUSED = ".original_module."
"""With trained biases PEFT also writes those of a module that one of ``modules_to_save`` answers instead of."""
PLAIN_STARTS = (True, False, "gaussian", "orthogonal", "eva")
"""``init_lora_weights`` that leave the base weights alone; PiSSA, OLoRA, CorDA and LoftQ change them in training."""
REFUSED = (
    "trainable_token_indices",
    "alora_invocation_tokens",
    "use_qalora",
    "layer_replication",
    "target_parameters",
    "use_bdlora",
    "arrow_config",
    "kasa_config",
    "velora_config",
    "monteclora_config",
)
"""Settings of LoraConfig (peft 0.21) whose adapters are more than the changes below."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The change of one module: ``scale · B @ A``, with A of shape (rank, in) and B of shape (out, rank).

    ``embedding``: the weight is stored as (in, out). ``magnitude``: with DoRA, the length of each output's weights.
    """

    module: str
    a: Tensor
    b: Tensor
    scale: float
    embedding: bool = False
    magnitude: Tensor | None = None
    bias: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """All that an adapter changes: pairs by module, whole tensors by the name of what they replace.

    ``transposed``: what the adapter says of how the base stores its weights; PEFT keeps it for one layer of them all.
    """

    pairs: dict[str, Pair]
    whole: dict[str, Tensor]
    transposed: bool


def changes(folder: Path) -> Changes:
    """Raises JobError for an adapter that holds more, or less, than its configuration says."""
    config = read_json(folder / ADAPTER_CONFIG)
    _refuse_other_kinds(config, folder)
    parts: dict[str, dict[str, Tensor]] = {}
    whole: dict[str, Tensor] = {}
    for key, tensor in sorted(safetensors_file.tensors(folder / ADAPTER_WEIGHTS).items()):
        if tensor.dtype not in FLOATS:
            raise _refusal(folder, f"{key} is stored as {tensor.dtype}")
        if own := _OWN.match(key):
            part = "bias" if own["end"] == "bias" else own["part"].removeprefix("lora_")
            parts.setdefault(own["module"], {})[part] = tensor
        elif _UNUSED in key:
            continue
        elif (other := _WHOLE.match(key)) and "lora_" not in key:
            name = _WRAPPERS.sub("", other["name"])
            if name not in whole or name == other["name"]:  # written twice, PEFT loads the one without a wrapper
                whole[name] = tensor
        else:
            raise _refusal(folder, f"it holds {key}, which is neither a LoRA matrix nor a tensor of the base model")
    if not parts and not whole:
        raise _refusal(folder, "it holds no weights")
    pairs = {module: _pair(module, found, config, folder) for module, found in parts.items()}
    return Changes(pairs, whole, bool(config.get("fan_in_fan_out")))


def _pair(module: str, found: dict[str, Tensor], config: dict[str, Any], folder: Path) -> Pair:
    embedding = "embedding_A" in found or "embedding_B" in found
    names = ("embedding_A", "embedding_B") if embedding else ("A", "B")
    if not found.keys() >= set(names):
        raise _refusal(folder, f"{module} has only one of the matrices A and B")
    a, b = found[names[0]], found[names[1]]
    if len(a.shape) != 2 or len(b.shape) != 2:
        raise _refusal(folder, f"{module} is neither a linear layer nor an embedding: A has shape {a.shape}")
    if bool(config.get("use_dora")) is not ("magnitude_vector" in found):
        has = "has no magnitude, but it was" if config.get("use_dora") else "has a magnitude, but it was not"
        raise _refusal(folder, f"{module} {has} trained with use_dora")
    if b.shape[1] != a.shape[0]:
        raise _refusal(folder, f"the matrices of {module} have different ranks: {a.shape[0]} and {b.shape[1]}")
    scale = _scale(config, module, a.shape[0])
    return Pair(module, a, b, scale, embedding, found.get("magnitude_vector"), found.get("bias"))


def _scale(config: dict[str, Any], module: str, rank: int) -> float:
    """alpha / r, or alpha / sqrt(r) with rsLoRA (Kalajdzievski, 2023), with the module's own r and alpha."""
    ranks, alphas = config.get("rank_pattern") or {}, config.get("alpha_pattern") or {}
    r = ranks.get(_pattern(ranks, module), config["r"])
    alpha = alphas.get(_pattern(alphas, module), config["lora_alpha"])
    if r != rank:
        raise JobError(f"adapter: {module} has rank {rank}, but {ADAPTER_CONFIG} says {r}")
    return float(alpha) / (math.sqrt(r) if config.get("use_rslora") else r)


def _pattern(patterns: dict[str, Any], module: str) -> str:
    """The first pattern that matches the end of a module's name (peft 0.21, get_pattern_key)."""
    return next((key for key in patterns if re.match(rf"(.*\.)?({key})$", module)), module)


def _refuse_other_kinds(config: dict[str, Any], folder: Path) -> None:
    if config.get("peft_type") != "LORA":
        raise _refusal(folder, f"its peft_type is {config.get('peft_type')}, not LORA")
    for key in REFUSED:
        if config.get(key):
            raise _refusal(folder, f"it was trained with {key}")
    start = config.get("init_lora_weights", True)
    if start not in PLAIN_STARTS:
        raise _refusal(folder, f"init_lora_weights {start!r} changed the base weights in training")


def _refusal(folder: Path, why: str) -> JobError:
    return JobError(f"the adapter in {folder} cannot be merged: {why}", "export it with weights: adapter")
