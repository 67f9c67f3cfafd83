"""Content hashes. Every hash in the project is made here, from one canonical form."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from io import RawIOBase
from pathlib import Path
from typing import Any

BLOCK = 1 << 20
"""Bytes read at a time when hashing a file."""
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=True)


def canonical(value: Any) -> str:
    """JSON with sorted keys and no white space: equal values give equal text."""
    try:
        return _ENCODER.encode(value)
    except TypeError:  # keys of several types have no order
        return _ENCODER.encode(_text_keys(value))


def _text_keys(value: Any) -> Any:
    """The same value with the keys that JSON would write."""
    if isinstance(value, dict):
        return {key if isinstance(key, str) else json.dumps(key): _text_keys(held) for key, held in value.items()}
    return [_text_keys(held) for held in value] if isinstance(value, list | tuple) else value


def digest(value: Any) -> str:
    """SHA-256 of the canonical form, 64 hexadecimal digits."""
    return hashlib.sha256(canonical(value).encode("utf-8", "surrogatepass")).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb", buffering=0) as stream:
        return stream_digest(stream)


def stream_digest(stream: RawIOBase) -> str:
    """SHA-256 of the bytes that are left in a stream."""
    hashed = hashlib.sha256()
    while block := stream.read(BLOCK):
        hashed.update(block)
    return hashed.hexdigest()


def tree(folder: Path) -> dict[str, Path]:
    """Relative name to path of every file below a folder, hidden ones too; none where there is no folder."""
    return {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}


def folder_digest(files: Mapping[str, Path], of_file: Callable[[Path], str] = file_digest) -> str:
    """One digest of several files, by relative name and content; the order of the mapping does not matter."""
    return digest({name: of_file(path) for name, path in files.items()})
