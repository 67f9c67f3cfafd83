"""Quantised base models: bitsandbytes settings that are checked, because the library checks nothing."""

from __future__ import annotations

import inspect
from typing import Any

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
