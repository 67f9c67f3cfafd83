"""The header of a safetensors file: which tensors it holds. Read without the weights.

The format: eight bytes with the length of a JSON header (little-endian), the header, the tensors back to back.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

_PREFIX = 8
LONGEST_HEADER = 100_000_000
"""Bytes; the format's own limit."""
_POINTER = b"version https://git-lfs"


@dataclass(frozen=True, slots=True)
class Tensor:
    """One entry of a header; ``size`` in bytes."""

    shape: tuple[int, ...]
    size: int

    @property
    def numbers(self) -> int:
        return math.prod(self.shape)


def fault(path: Path) -> str:
    """What is wrong with a weights file, in words; "" when its header and its size fit. Raises OSError."""
    found = tensors(path)
    return found if isinstance(found, str) else ""


def tensors(path: Path) -> dict[str, Tensor] | str:
    """The tensors of a file by name, or what is wrong with it, in words. Raises OSError."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        start = stream.read(len(_POINTER))
        if start == _POINTER:
            return "is a Git LFS pointer, not the weights"
        length = int.from_bytes(start[:_PREFIX], "little")
        if size < _PREFIX or length > min(size - _PREFIX, LONGEST_HEADER):
            return "is not safetensors, or was cut off"
        stream.seek(_PREFIX)
        header = stream.read(length)
    try:
        entries = {name: entry for name, entry in json.loads(header).items() if name != "__metadata__"}
        end = max((entry["data_offsets"][1] for entry in entries.values()), default=0)
        if end != size - _PREFIX - length:
            return "was cut off: its tensors do not fit its size"
        return {name: _tensor(entry) for name, entry in entries.items()}
    except (ValueError, RecursionError, AttributeError, KeyError, TypeError, IndexError):
        return "has a damaged safetensors header"


def _tensor(entry: dict[str, list[int]]) -> Tensor:
    """Raises KeyError, TypeError or ValueError for an entry that describes no tensor."""
    shape, (begin, end) = entry["shape"], entry["data_offsets"]
    if not all(type(side) is int and side >= 0 for side in (*shape, begin, end)) or begin > end:
        raise ValueError("a size is no number")
    if math.prod(shape) > 8 * (end - begin):
        raise ValueError("less than a bit for each number")
    return Tensor(tuple(shape), end - begin)
