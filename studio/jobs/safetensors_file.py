"""The layout of a safetensors file: where each tensor's bytes are, without reading them.

Format: 8 bytes little-endian header length, a JSON header of dtype, shape and data_offsets per tensor, then the data
(safetensors 0.8, README, "Format").
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path

import torch

from studio.core.errors import JobError

FLOATS: dict[str, torch.dtype] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
}
"""Types that weights may be added to; integers and 8-bit floats are quantised weights."""
LONGEST_HEADER = 100_000_000
"""Bytes; the reference implementation refuses longer headers."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of a file: its type's name, its shape and the position of its first byte in the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int


def tensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of a file by name; raises JobError when the file is not a whole safetensors file."""
    with path.open("rb") as stream:
        prefix = stream.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else LONGEST_HEADER
        text = stream.read(length) if length < LONGEST_HEADER else b""
    try:
        header = json.loads(text)
    except ValueError as error:
        raise JobError(f"{path} is not a safetensors file: {error}") from error
    start = 8 + length
    entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
    end = start + max((entry["data_offsets"][1] for entry in entries.values()), default=0)
    if path.stat().st_size != end:
        raise JobError(f"{path} is not whole: {path.stat().st_size} bytes instead of {end}")
    return {
        name: Tensor(name, entry["dtype"], tuple(entry["shape"]), start + entry["data_offsets"][0])
        for name, entry in entries.items()
    }
