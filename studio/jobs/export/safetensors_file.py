"""The layout of a safetensors file: where each tensor's bytes are, without reading them.

Format: 8 bytes little-endian header length, a JSON header of dtype, shape and data_offsets per tensor, then the data
(safetensors 0.8, README, "Format").
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

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
PREFIX = struct.Struct("<Q")
ALIGNMENT = 8
"""Bytes; the header is filled up with spaces, so that the data begins at a multiple."""
METADATA = "__metadata__"


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of a file: its type's name, its shape, the position of its first byte in the file and its bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    size: int


def tensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of a file by name; raises JobError when the file is not a whole safetensors file."""
    header, start = _header(path)
    entries = {name: entry for name, entry in header.items() if name != METADATA}
    end = start + max((entry["data_offsets"][1] for entry in entries.values()), default=0)
    if path.stat().st_size != end:
        raise JobError(f"{path} is not whole: {path.stat().st_size} bytes instead of {end}")
    return {name: _tensor(name, entry, start) for name, entry in entries.items()}


def rows(stream: FileIO, tensor: Tensor, start: int = 0, end: int | None = None) -> torch.Tensor:
    """Some rows of a tensor, read into memory of their own: what is mapped would stay in memory as it is read.

    Raises JobError when the file became shorter. The tensor's type must be one of FLOATS.
    """
    count = tensor.shape[0] if tensor.shape else 1
    end = count if end is None else end
    each = tensor.size // max(1, count)
    shape = (end - start, *tensor.shape[1:]) if tensor.shape else ()
    return octets(stream, tensor.offset + each * start, each * (end - start)).view(FLOATS[tensor.dtype]).view(shape)


def octets(stream: FileIO, start: int, size: int) -> torch.Tensor:
    """Bytes of a file, as uint8 in memory of their own. Raises JobError when the file became shorter."""
    buffer = bytearray(size)
    stream.seek(start)
    rest = memoryview(buffer)
    while rest:  # one call reads at most 2 GiB
        got = stream.readinto(rest)
        if not got:
            raise JobError(f"{stream.name} became shorter while it was read")
        rest = rest[got:]
    return torch.frombuffer(buffer, dtype=torch.uint8) if buffer else torch.empty(0, dtype=torch.uint8)


def layout(path: Path, names: dict[str, Tensor]) -> tuple[bytes, dict[str, int]]:
    """The beginning of a file with the metadata of ``path`` and these tensors in this order; where each one goes."""
    header, _ = _header(path)
    entries: dict[str, Any] = {METADATA: header[METADATA]} if METADATA in header else {}
    end, offsets = 0, {}
    for name, like in names.items():
        offsets[name] = end
        end += like.size
        entries[name] = {"dtype": like.dtype, "shape": list(like.shape), "data_offsets": [offsets[name], end]}
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    start = PREFIX.size + len(text)
    return PREFIX.pack(len(text)) + text, {name: start + offset for name, offset in offsets.items()}


def _header(path: Path) -> tuple[dict[str, Any], int]:
    """The header and the position of the first byte after it."""
    with path.open("rb") as stream:
        prefix = stream.read(PREFIX.size)
        length = PREFIX.unpack(prefix)[0] if len(prefix) == PREFIX.size else LONGEST_HEADER
        text = stream.read(length) if length < LONGEST_HEADER else b""
    try:
        return json.loads(text), PREFIX.size + length
    except ValueError as error:
        raise JobError(f"{path} is not a safetensors file: {error}") from error


def _tensor(name: str, entry: dict[str, Any], start: int) -> Tensor:
    first, end = entry["data_offsets"]
    return Tensor(name, entry["dtype"], tuple(entry["shape"]), start + first, end - first)
