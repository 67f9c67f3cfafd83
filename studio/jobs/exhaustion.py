"""Disks and memory that ran out: conditions a user can act on, whatever library met them first."""

from __future__ import annotations

import errno
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from studio.core.errors import JobError
from studio.core.jobspec import JobSpec

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
HINT = "free some space there, then apply again"
NEARLY_FULL = 1 << 28
"""Bytes. Libraries in Rust and C++ report a full disk as errors of their own, after removing what they had written:
with less than this left, a failed job is put down to the disk."""


def explain(error: BaseException, spec: JobSpec) -> JobError | None:
    """The resource that ran out, or None when the error has another cause."""
    if full := full_disk(error, spec):
        return full
    if (free := _free(spec.folder)) < NEARLY_FULL:
        return JobError(f"the disk of {spec.folder} is full ({free / 1e6:.1f} MB left): {error}", HINT)
    if any(isinstance(cause, _memory_errors()) for cause in _causes(error)):
        return JobError(
            f"out of memory; the job asked for {spec.resources.memory} GB and {spec.resources.gpu} GPU",
            "lower per_device_train_batch_size or max_length, quantise the model, or ask for more",
        )
    return None


def full_disk(error: BaseException, spec: JobSpec) -> JobError | None:
    """The folder whose disk is full, when the system said so to the error or to one that led to it."""
    full = [cause for cause in _causes(error) if isinstance(cause, OSError) and cause.errno in FULL]
    if not full:
        return None
    where = next((cause.filename for cause in full if cause.filename), None)
    return JobError(f"the disk of {Path(str(where)).parent if where else spec.folder} is full", HINT)


def _free(folder: Path) -> int:
    """Bytes left on the file system of ``folder``, which may not exist yet."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(existing).free


def _memory_errors() -> tuple[type[BaseException], ...]:
    """MemoryError, and torch's own when torch is loaded: this module must not load it."""
    torch = sys.modules.get("torch")
    return (MemoryError, torch.OutOfMemoryError) if torch else (MemoryError,)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and everything that led to it."""
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__ or current.__context__
