"""Quantised base models: bitsandbytes settings that are checked, because the library checks nothing."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import torch
from transformers import BitsAndBytesConfig

from studio.core.errors import JobError
from studio.core.suggest import did_you_mean
from studio.jobs.events import EventLog
from studio.jobs.model.devices import Device

KNOWN = frozenset(inspect.signature(BitsAndBytesConfig.__init__).parameters) - {"self", "kwargs"} | {"quant_method"}
TYPES = ("nf4", "fp4")
COMPUTE = "bnb_4bit_compute_dtype"


def config(values: dict[str, Any], device: Device, events: EventLog) -> BitsAndBytesConfig:
    """The configuration; raises JobError for unknown keys and values, which the library would ignore."""
    for key in sorted(set(values) - KNOWN):
        raise JobError(f"bitsandbytes config: unknown key {key!r}", did_you_mean(key, KNOWN))
    kind = values.get("bnb_4bit_quant_type", "nf4")
    if kind not in TYPES:
        raise JobError(f"bnb_4bit_quant_type: {kind!r} is not known", f"known: {', '.join(TYPES)}")
    if bool(values.get("load_in_4bit")) == bool(values.get("load_in_8bit")):
        raise JobError("bitsandbytes config: exactly one of load_in_4bit and load_in_8bit must be true")
    wanted = {key: value for key, value in values.items() if key != "quant_method"}
    if device.is_cpu and str(wanted.get(COMPUTE)).removeprefix("torch.") == "float16":
        wanted[COMPUTE] = "bfloat16"
        events.write("setup", f"{COMPUTE}: float16 is about five times slower on CPU, using bfloat16")
    try:
        return BitsAndBytesConfig(**wanted)
    except (TypeError, ValueError, AttributeError) as error:
        raise JobError(f"bitsandbytes config: {error}") from error


def check_reading(model: Any, name: str) -> None:
    """Raise JobError when bitsandbytes reads 4-bit weights of a model on the CPU otherwise than it stored them.

    The kernel of 0.50 mixes up blocks of rows that do not end with one, on some processors and for some widths; read as
    one long row the same weights come out right. One weight of each width is tried.
    """
    weights: dict[int, Any] = {}
    for module in model.modules():
        weight = getattr(module, "weight", None)
        state = getattr(weight, "quant_state", None)
        if state is not None and len(state.shape) == 2 and state.shape[1] % state.blocksize:
            weights[int(state.shape[1])] = weight
    if not weights:
        return
    from bitsandbytes.functional import dequantize_4bit

    for width, weight in weights.items():
        flat = copy.copy(weight.quant_state)
        flat.shape = torch.Size((weight.quant_state.shape.numel(),))
        whole = dequantize_4bit(weight.data, flat).view(weight.quant_state.shape)
        if not torch.equal(dequantize_4bit(weight.data, weight.quant_state), whole):
            raise JobError(
                f"model {name}: bitsandbytes reads 4-bit weights with rows of {width} values wrongly on this CPU",
                "use a GPU, or leave out bitsandbytes_config",
            )
