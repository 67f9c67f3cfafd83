"""The memory that this process holds, and the most that it has held so far, to be compared with what was estimated."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

import torch

_STATUS, _PAGES = Path("/proc/self/status"), Path("/proc/self/statm")


def metrics() -> dict[str, float]:
    """Resident bytes, and bytes in tensors on the GPU where there is one (without the CUDA context)."""
    found = {"peak_memory_bytes": float(_resident())}
    if torch.cuda.is_available():
        found["peak_gpu_memory_bytes"] = float(torch.cuda.max_memory_allocated())
    return found


def now() -> dict[str, float]:
    """Resident bytes at this moment, and bytes held on the GPU where there is one: what its allocator has taken, which
    is what decides whether the next batch fits. Where a system does not tell the moment, the most so far."""
    found = {"memory_bytes": float(_resident_now())}
    if torch.cuda.is_available():
        found["gpu_memory_bytes"] = float(torch.cuda.memory_reserved())
    return found


def _resident_now() -> int:
    """The second number of ``statm`` counts resident pages (proc_pid_statm(5))."""
    if _PAGES.exists():
        return int(_PAGES.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return _resident()


def _resident() -> int:
    """Linux counts this program's pages in VmHWM; ``ru_maxrss`` begins with those of the process that started it."""
    if _STATUS.exists():
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
