"""A saved LoRA adapter as pairs of matrices to add to a base model's weights.

What is more than ``scale · B @ A`` on linear layers is refused here: merged wrongly it would load and answer nonsense.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from studio.core.errors import JobError
from studio.jobs import safetensors_file
from studio.jobs.locations import ADAPTER_CONFIG, ADAPTER_WEIGHTS, read_json

_KEY = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])(\.default)?\.weight\Z")
PLAIN_STARTS = (True, False, "gaussian", "orthogonal", "eva")
"""``init_lora_weights`` that leave the base weights alone; PiSSA, OLoRA, CorDA and LoftQ change them in training."""
REFUSED = (
    "use_dora",
    "modules_to_save",
    "trainable_token_indices",
    "alora_invocation_tokens",
    "use_qalora",
    "layer_replication",
    "lora_bias",
    "target_parameters",
    "use_bdlora",
    "arrow_config",
    "kasa_config",
    "velora_config",
    "monteclora_config",
)
"""Settings of LoraConfig (peft 0.21) whose adapters are not ``scale · B @ A`` alone."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The change of one module: ``scale · B @ A``, with A of shape (rank, in) and B of shape (out, rank).

    ``transposed``: the base weight is stored as (in, out), as in Conv1D.
    """

    module: str
    key_a: str
    key_b: str
    scale: float
    transposed: bool


@dataclass(frozen=True, slots=True)
class Matrices:
    """Both sides of a pair in float32."""

    a: torch.Tensor
    b: torch.Tensor


def pairs(folder: Path) -> dict[str, Pair]:
    """The adapter's pairs by module name. Raises JobError for an adapter that is not plain LoRA."""
    config = read_json(folder / ADAPTER_CONFIG)
    _refuse_other_kinds(config, folder)
    sides: dict[str, dict[str, str]] = {}
    stored = safetensors_file.tensors(folder / ADAPTER_WEIGHTS)
    for key in sorted(stored):
        match = _KEY.match(key)
        if match is None:
            raise _refusal(folder, f"it holds {key}, which is not the A or B of a linear layer")
        sides.setdefault(match["module"], {})[match["side"]] = key
    for module, found in sides.items():
        if len(found) != 2:
            raise _refusal(folder, f"{module} has only one of the matrices A and B")
    if not sides:
        raise _refusal(folder, "it holds no weights")
    return {
        module: Pair(
            module, keys["A"], keys["B"], _scale(config, module, stored[keys["A"]].shape[0]), _transposed(config)
        )
        for module, keys in sides.items()
    }


@contextmanager
def opened(folder: Path) -> Iterator[Any]:
    """The adapter's weights, mapped into memory and read on demand."""
    with safe_open(folder / ADAPTER_WEIGHTS, framework="pt") as weights:
        yield weights


def read(weights: Any, pair: Pair) -> Matrices:
    """Both matrices of a pair."""
    return Matrices(weights.get_tensor(pair.key_a).float(), weights.get_tensor(pair.key_b).float())


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


def _transposed(config: dict[str, Any]) -> bool:
    return bool(config.get("fan_in_fan_out"))


def _refuse_other_kinds(config: dict[str, Any], folder: Path) -> None:
    if config.get("peft_type") != "LORA":
        raise _refusal(folder, f"its peft_type is {config.get('peft_type')}, not LORA")
    for key in REFUSED:
        if config.get(key):
            raise _refusal(folder, f"it was trained with {key}")
    if config.get("bias", "none") != "none":
        raise _refusal(folder, f"it trains biases (bias: {config['bias']})")
    start = config.get("init_lora_weights", True)
    if start not in PLAIN_STARTS:
        raise _refusal(folder, f"init_lora_weights {start!r} changed the base weights in training")


def _refusal(folder: Path, why: str) -> JobError:
    return JobError(f"the adapter in {folder} cannot be merged: {why}", "export it with weights: adapter")
