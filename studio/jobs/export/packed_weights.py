"""Weights that bitsandbytes quantised and saved, as the float weights they stand for, some rows at a time.

What is read is what bitsandbytes 0.50 dequantises to, bit for bit, and without it: its CPU kernel mixes up the blocks
of 4-bit weights whose rows do not end with one. 8-bit weights, which it gives in float32, are rounded once to the
model's type, as transformers' ``dequantize`` does. Beside a weight of 4 bits are saved the scale of each block, with
double quantisation quantised itself, and the 16 values (Dettmers et al., 2023); beside one of 8 bits the largest value
of each row (Dettmers et al., 2022).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import torch

from studio.core.errors import JobError
from studio.jobs.export.safetensors_file import FLOATS, Tensor, octets

Shards = dict[Path, dict[str, Tensor]]
Rows = Callable[[int, int], torch.Tensor]

SETTINGS = "quantization_config"
OURS = "bitsandbytes"
CURE = "use the model that was quantised as base_model: the adapter fits it"
_STATE = re.compile(r"(?P<weight>.+)\.quant_state\.bitsandbytes__(nf4|fp4)\Z")
_BESIDE_4BIT = ("absmax", "quant_map", "nested_absmax", "nested_quant_map")
_SCALES, _FORMAT = "SCB", "weight_format"
NAMES = {dtype: name for name, dtype in FLOATS.items()}
WORDS = {str(dtype).removeprefix("torch."): dtype for dtype in FLOATS.values()}
OF_127 = 7.874015718698502e-3
"""1 / 127, as bitsandbytes writes it."""
_TYPES = FLOATS | {"U8": torch.uint8, "I8": torch.int8}


@dataclass(frozen=True, slots=True)
class Packed:
    """A quantised weight: its own bytes, what is saved beside it by suffix, and what it stands for.

    ``state`` are the settings of a 4-bit weight; None for one of 8 bits.
    """

    weight: Tensor
    beside: Mapping[str, tuple[Path, Tensor]]
    dtype: torch.dtype
    state: Mapping[str, Any] | None

    @property
    def step(self) -> int:
        """Rows after which a block of 4-bit values begins anew."""
        if self.state is None:
            return 1
        block = int(self.state["blocksize"])
        return block // math.gcd(block, int(self.state["shape"][1]))


def method(config: Mapping[str, Any]) -> str:
    """How the weights of a model were quantised; "" when they were not."""
    settings = config.get(SETTINGS)
    if not settings:
        return ""
    return str(settings.get("quant_method") or OURS) if isinstance(settings, dict) else "an unknown method"


def unpack(config: Mapping[str, Any], shards: Shards) -> tuple[Shards, dict[str, Packed]]:
    """The tensors that the model has without quantisation, and those of them that are packed.

    Raises JobError for what bitsandbytes did not quantise, and for weights that are not whole.
    """
    by = method(config)
    if not by:
        return shards, {}
    if by != OURS:
        raise JobError(f"the base model is quantised by {by}; its float weights cannot be had from it here", CURE)
    places = {name: (path, tensor) for path, held in shards.items() for name, tensor in held.items()}
    wanted = WORDS.get(str(config.get("dtype") or config.get("torch_dtype")))
    packed = {**_of_4bit(places, wanted), **_of_8bit(places, wanted or torch.float16)}
    beside = {tensor.name for each in packed.values() for _, tensor in each.beside.values()}
    return {
        path: {name: _plain(tensor, packed.get(name)) for name, tensor in held.items() if name not in beside}
        for path, held in shards.items()
    }, packed


def _plain(tensor: Tensor, packed: Packed | None) -> Tensor:
    """What stands in the place of a packed weight."""
    if packed is None:
        return tensor
    shape = tuple(packed.state["shape"]) if packed.state else tensor.shape
    return Tensor(tensor.name, NAMES[packed.dtype], shape, tensor.offset, math.prod(shape) * packed.dtype.itemsize)


def _of_4bit(places: Mapping[str, tuple[Path, Tensor]], wanted: torch.dtype | None) -> dict[str, Packed]:
    found: dict[str, Packed] = {}
    for name in filter(_STATE.match, places):
        weight = name.rpartition(".quant_state.")[0]
        beside = {key: places[f"{weight}.{key}"] for key in _BESIDE_4BIT if f"{weight}.{key}" in places}
        beside["state"] = places[name]
        try:
            state = json.loads(bytes(_read(*places[name]).tolist()))
            numbers, block = math.prod(state["shape"]), int(state["blocksize"])
            whole = places[weight][1].size == (numbers + 1) // 2 and len(state["shape"]) == 2
            whole &= beside["absmax"][1].shape == (-(-numbers // block),) and beside["quant_map"][1].shape == (16,)
            whole &= _is_nested_whole(state, beside)
            dtype = wanted or WORDS[state["dtype"]]
        except (ValueError, KeyError, TypeError, IndexError, ZeroDivisionError) as error:
            raise _broken(weight) from error
        if not whole:
            raise _broken(weight)
        found[weight] = Packed(places[weight][1], beside, dtype, state)
    return found


def _is_nested_whole(state: Mapping[str, Any], beside: Mapping[str, tuple[Path, Tensor]]) -> bool:
    """Whether scales that are quantised themselves come with what they need."""
    scales = beside["absmax"][1]
    if scales.dtype != "U8":
        return scales.dtype in FLOATS and "nested_offset" not in state
    blocks = -(-scales.shape[0] // int(state["nested_blocksize"]))
    float(state["nested_offset"])
    return beside["nested_absmax"][1].shape == (blocks,) and beside["nested_quant_map"][1].shape == (256,)


def _of_8bit(places: Mapping[str, tuple[Path, Tensor]], dtype: torch.dtype) -> dict[str, Packed]:
    found: dict[str, Packed] = {}
    for name, (_, tensor) in places.items():
        module = name.removesuffix(".weight")
        if tensor.dtype != "I8" or module == name:
            continue
        beside = {key: places[f"{module}.{key}"] for key in (_SCALES, _FORMAT) if f"{module}.{key}" in places}
        rowwise = _FORMAT not in beside or int(_read(*beside[_FORMAT])) == 0
        if len(tensor.shape) != 2 or _SCALES not in beside or beside[_SCALES][1].shape != tensor.shape[:1]:
            raise _broken(name)
        if not rowwise:
            raise JobError(f"{name} is stored in a layout of an old bitsandbytes", "save the model again with a newer")
        found[name] = Packed(tensor, beside, dtype, None)
    return found


def _broken(name: str) -> JobError:
    return JobError(f"{name} is quantised, and what is saved of it is not whole", "fetch the base model again")


def reader(packed: Packed, stream: FileIO) -> Rows:
    """Rows of the float weights; ``stream`` is the file that holds the packed ones. A first row must be a multiple of
    ``packed.step``."""
    return (_four_bits if packed.state else _eight_bits)(packed, stream)


def _eight_bits(packed: Packed, stream: FileIO) -> Rows:
    scales = _read(*packed.beside[_SCALES]).float().view(-1, 1)

    def given(start: int, end: int) -> torch.Tensor:
        block = _packed_rows(packed, stream, start, end).view(torch.int8).view(end - start, -1)
        return (block.float() * scales[start:end] * OF_127).to(packed.dtype)

    return given


def _four_bits(packed: Packed, stream: FileIO) -> Rows:
    state = packed.state or {}
    values = _read(*packed.beside["quant_map"])
    pairs = torch.cartesian_prod(values, values)  # the first number of a byte is in its upper half
    scales, block, columns = _scales(packed), int(state["blocksize"]), int(state["shape"][1])
    dtype = WORDS[state["dtype"]]

    def given(start: int, end: int) -> torch.Tensor:
        count = (end - start) * columns
        numbers = pairs[_packed_rows(packed, stream, start, end).int()].view(-1)[:count]
        first, whole = start * columns // block, count // block * block
        numbers[:whole].view(-1, block).mul_(scales[first : first + count // block].view(-1, 1))
        if whole < count:
            numbers[whole:] *= scales[first + count // block]
        return numbers.view(end - start, columns).to(dtype).to(packed.dtype)

    return given


def _scales(packed: Packed) -> torch.Tensor:
    """The scale of each block of a 4-bit weight, in float32."""
    state, scales = packed.state or {}, _read(*packed.beside["absmax"])
    if "nested_absmax" not in packed.beside:
        return scales.float()
    values, outer = _read(*packed.beside["nested_quant_map"]), _read(*packed.beside["nested_absmax"])
    each = outer.repeat_interleave(int(state["nested_blocksize"]))[: len(scales)]
    return values[scales.int()] * each + torch.tensor(float(state["nested_offset"]))


def _packed_rows(packed: Packed, stream: FileIO, start: int, end: int) -> torch.Tensor:
    """The bytes of some rows; two numbers a byte with 4 bits."""
    shape = packed.state["shape"] if packed.state else packed.weight.shape
    each = int(shape[1])
    first, last = (start * each // 2, (end * each + 1) // 2) if packed.state else (start * each, end * each)
    return octets(stream, packed.weight.offset + first, last - first)


def _read(path: Path, tensor: Tensor) -> torch.Tensor:
    """A small tensor of any type that is saved beside a weight."""
    dtype = _TYPES.get(tensor.dtype)
    if dtype is None:
        raise _broken(tensor.name)
    with path.open("rb", buffering=0) as stream:
        return octets(stream, tensor.offset, tensor.size).view(dtype).view(tensor.shape)
