"""Which process of a distributed run this is, as launchers tell it through the environment."""

from __future__ import annotations

import os


def rank() -> int:
    """Global rank; 0 without a launcher."""
    return int(os.environ.get("RANK", "0"))


def local_rank() -> int:
    """Rank on this machine; it chooses the GPU."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def world_size() -> int:
    """Processes in the run; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main() -> bool:
    """Whether this process writes events, results and MLflow runs."""
    return rank() == 0
