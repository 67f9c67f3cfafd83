"""How many threads a job computes with."""

from __future__ import annotations

import os

from studio.core.jobspec import Resources


def count(resources: Resources) -> int:
    """What the job asked for, but no more than this process may use, shared among its workers."""
    allowed = len(os.sched_getaffinity(0))
    asked = max(resources.cpu, resources.dist_cpu or 0) if resources.workers > 1 else resources.cpu
    return max(1, min(asked, allowed // resources.workers if resources.workers > 1 else allowed))


def environment(resources: Resources) -> dict[str, str]:
    """What a backend puts into a job's environment: OpenMP reads it once, when torch is loaded.

    Passive waiting: an idle OpenMP thread that spins steals the core from its neighbour (measured beside one busy
    process: 950 tokens per second spinning, 1,900 passive).
    """
    threads = str(count(resources))
    return {
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "OMP_WAIT_POLICY": "PASSIVE",
        "TOKENIZERS_PARALLELISM": "false",
    }


def apply(resources: Resources) -> int:
    """Set torch's threads and return their effective number."""
    import torch

    torch.set_num_threads(count(resources))
    return int(torch.get_num_threads())
