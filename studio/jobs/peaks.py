"""The most memory that this process has held so far, to be compared with what was estimated."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import torch

_STATUS = Path("/proc/self/status")


def metrics() -> dict[str, float]:
    """Resident bytes, and bytes in tensors on the GPU where there is one (without the CUDA context)."""
    found = {"peak_memory_bytes": float(_resident())}
    if torch.cuda.is_available():
        found["peak_gpu_memory_bytes"] = float(torch.cuda.max_memory_allocated())
    return found


def _resident() -> int:
    """Linux counts this program's pages in VmHWM; ``ru_maxrss`` begins with those of the process that started it."""
    if _STATUS.exists():
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
