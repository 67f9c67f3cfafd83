"""Is a file safetensors? Decided from its first bytes and its size, without reading the weights.

The format: eight bytes with the length of a JSON header (little-endian), the header, the tensors back to back.
"""

from __future__ import annotations

import json
from pathlib import Path

_PREFIX = 8
LONGEST_HEADER = 100_000_000
"""Bytes; the format's own limit."""
_POINTER = b"version https://git-lfs"


def fault(path: Path) -> str:
    """What is wrong with a weights file, in words; "" when its header and its size fit. Raises OSError."""
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
        tensors = {name: entry for name, entry in json.loads(header).items() if name != "__metadata__"}
        end = max((entry["data_offsets"][1] for entry in tensors.values()), default=0)
    except (ValueError, RecursionError, AttributeError, KeyError, TypeError, IndexError):
        return "has a damaged safetensors header"
    return "" if end == size - _PREFIX - length else "was cut off: its tensors do not fit its size"
