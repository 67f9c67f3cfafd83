"""The command line and the environment of Axolotl's processes."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path

from studio.core.jobspec import JobSpec
from studio.jobs import child, threads

MODULE = "axolotl.cli.train"
OTHERS = (
    *("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV"),
    *("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"),
)
"""What is the job's own: its packages and its place in a run."""
QUIET: Mapping[str, str] = {
    "AXOLOTL_DO_NOT_TRACK": "1",
    "DO_NOT_TRACK": "1",
    "WANDB_MODE": "disabled",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONSAFEPATH": "1",
    "PYTHONUNBUFFERED": "1",
}
"""Nothing is reported or fetched; a project's own ``datasets.py`` is not taken for the library."""


def command(python: Path, config: Path, spec: JobSpec) -> list[str]:
    """Accelerate's launcher, one process for each worker, all of them on this machine."""
    several, on_gpu = spec.resources.workers > 1, spec.resources.gpu > 0
    how = ["--num_machines", "1", "--num_processes", str(spec.resources.workers), "--mixed_precision", "no",
           "--dynamo_backend", "no"]  # fmt: skip
    if several:  # --cpu would start one process; ACCELERATE_USE_CPU keeps those of --multi_gpu on the CPU
        how += ["--multi_gpu", "--main_process_port", str(_free_port())]
    elif not on_gpu:
        how += ["--cpu"]
    return [str(python), "-m", "accelerate.commands.launch", *how, "-m", MODULE, str(config)]


def environment(spec: JobSpec, home: Path, more: Mapping[str, str]) -> dict[str, str]:
    """The job's own, without its packages and its secrets. ``home`` receives every cache, so that none is left."""
    kept = {name: value for name, value in child.without_secrets(spec).items() if name not in OTHERS}
    on_cpu = {} if spec.resources.gpu > 0 else {"ACCELERATE_USE_CPU": "true", "CUDA_VISIBLE_DEVICES": ""}
    return {**kept, **threads.environment(spec.resources), **QUIET, **on_cpu, "HF_HOME": str(home), **more}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
