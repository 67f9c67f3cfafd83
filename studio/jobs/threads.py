"""How many threads a job computes with."""

from __future__ import annotations

import os
from collections.abc import Mapping

from studio.core.jobspec import Resources


def count(resources: Resources, environ: Mapping[str, str] = os.environ) -> int:
    """What the job asked for, but no more than this process may use, shared among its workers on this machine.

    Launchers say how many these are in LOCAL_WORLD_SIZE; where nothing is said yet, all are.
    """
    allowed = len(os.sched_getaffinity(0))
    here = int(environ.get("LOCAL_WORLD_SIZE", resources.workers))
    asked = resources.cpu if environ.get("RANK", "0") == "0" else resources.dist_cpu or resources.cpu
    if here > 1:
        asked = max(resources.cpu, resources.dist_cpu or 0)
    return max(1, min(asked, allowed // here))


def environment(resources: Resources, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What a backend puts into a job's environment: OpenMP reads it once, when torch is loaded.

    Passive waiting: an idle OpenMP thread that spins steals the core from its neighbour (measured beside one busy
    process: 950 tokens per second spinning, 1,900 passive).
    """
    threads = str(count(resources, environ))
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
