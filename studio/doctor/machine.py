"""Checks of the machine: accelerators, cores, memory and disk, against what the project's jobs ask for."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from studio.doctor.checkup import Checkup, Surroundings, Verdict
from studio.load import files
from studio.resources.model import Model, ModelType

GIB = 2**30
SPARE = 2 * GIB
"""What records, logs and checkpoints of small adapters take."""
COPIES = 3
"""Of a base model: as it is, merged for an export, and logged to MLflow."""
UNKNOWN_MODEL = 5 * GIB
TORCH = """
import json, torch
cuda = torch.cuda
names = [(cuda.get_device_name(i), cuda.get_device_properties(i).total_memory) for i in range(cuda.device_count())]
print(json.dumps([torch.__version__, names]))
"""
_SIZE = re.compile(r"(?<![0-9.])(\d+(?:\.\d+)?)([bm])(?![a-z])", re.IGNORECASE)
"""The number of parameters in a model's name, such as 8B."""


def accelerator(around: Surroundings) -> Checkup:
    found, names = _by_torch() or _by_driver()
    most = max((each.gpu for each in around.asked()), default=0) if around.here else 0
    if most > len(names):
        return Checkup(Verdict.MISSING, f"{found}; a job asks for {most}",
                       "set num_gpu: 0, or run where there are GPUs that PyTorch sees")  # fmt: skip
    return Checkup(Verdict.OK, found)


def _by_torch() -> tuple[str, list[str]] | None:
    """What PyTorch sees, from a process of its own; None where it is not installed or does not start."""
    try:
        metadata.version("torch")
    except metadata.PackageNotFoundError:
        return None
    answer = _output(sys.executable, "-P", "-c", TORCH, seconds=45)  # -P: a project may hold a torch.py
    try:
        version, devices = json.loads(answer.splitlines()[-1])
        names = [f"{name}, {int(memory) / GIB:.0f} GiB" for name, memory in devices]
    except (ValueError, TypeError, IndexError):
        return None
    return f"torch {version} sees {_listed(names)}", names


def _by_driver() -> tuple[str, list[str]]:
    answer = _output("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits", seconds=10)
    rows = [line.rpartition(",") for line in answer.splitlines()]
    names = [f"{name.strip()}, {int(memory) / 1024:.0f} GiB" for name, _, memory in rows if memory.strip().isdecimal()]
    return f"nvidia-smi sees {_listed(names)}" if names else "no GPU", names


def _listed(names: list[str]) -> str:
    return "; ".join(names) if names else "no GPU"


def _output(*command: str, seconds: float) -> str:
    """What a program prints; "" when it is not there, fails or hangs."""
    try:
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=seconds)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace") if done.returncode == 0 else ""


def processor(around: Surroundings) -> Checkup:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    found = f"{cores} CPU, {memory:.0f} GiB of memory"
    asked = around.asked() if around.here else []
    most = max((each.cpu for each in asked), default=0), max((each.memory for each in asked), default=0)
    if most[0] > cores or most[1] > memory:
        return Checkup(Verdict.WARNING, f"{found}; jobs ask for up to {most[0]} CPU, {most[1]} GB",
                       "such a job runs alone and may be slow or run out; lower num_cpu and num_memory")  # fmt: skip
    return Checkup(Verdict.OK, found)


def disk(around: Surroundings) -> Checkup:
    """Free space where the project writes, and where the hub's files are kept."""
    local, fetched = _needs(around)
    root = around.loaded.root if around.loaded else around.folder
    places = {"project": (root, local), ".studio": (root / ".studio", local), "hub cache": (_cache(around), fetched)}
    shown, short = [], []
    for name, (path, need) in places.items():
        free = shutil.disk_usage(_existing(path)).free
        shown.append(f"{name} {free / GIB:.0f} GiB free")
        if free < need:
            short.append(f"{name} ({path}): about {need / GIB:.0f} GiB")
    if short:
        return Checkup(Verdict.WARNING, ", ".join(shown), f"make room; the project's models need {'; '.join(short)}")
    return Checkup(Verdict.OK, ", ".join(shown))


def _needs(around: Surroundings) -> tuple[int, int]:
    """Bytes for copies of the models, and for those that are fetched from the hub."""
    models = [resource.spec for resource in around.resources if isinstance(resource, Model)]
    fetched = [_size(spec.huggingface_model_name) for spec in models if spec.type == ModelType.HUGGINGFACE]
    root = around.loaded.root if around.loaded else around.folder
    there = [sum(_weights(root, spec.location)) for spec in models if spec.type == ModelType.PROJECT and spec.location]
    return SPARE + COPIES * max([*fetched, *there], default=0), sum(fetched)


def _weights(root: Path, location: str) -> Iterator[int]:
    folder = files.inside(root, location)
    if folder and folder.is_dir():
        yield from (path.stat().st_size for path in folder.glob("*.safetensors") if path.is_file())


def _size(name: str) -> int:
    """Bytes of a model with 16-bit weights, from the parameters in its name."""
    found = _SIZE.search(name)
    if not found:
        return UNKNOWN_MODEL
    return int(float(found.group(1)) * (2e9 if found.group(2) in "bB" else 2e6))


def _cache(around: Surroundings) -> Path:
    """Where huggingface_hub keeps files: HF_HUB_CACHE, else below HF_HOME."""
    home = around.environ.get("HF_HOME") or Path(around.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return Path(around.environ.get("HF_HUB_CACHE") or Path(home) / "hub").expanduser()


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    return next((each for each in (path, *path.parents) if each.exists()), Path("/"))
