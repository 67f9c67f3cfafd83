"""Merge LoRA weights into a base model, from safetensors to safetensors, without loading the model.

Each shard is streamed from its first byte to its last, one shard per core. Only the targeted tensors are computed, some
rows at a time, so memory holds a block and an adapter pair per core, whatever the model's size. Each weight is
``float32(W) + scale · (B @ A)``, rounded once to the tensor's own type. Against peft 0.21's merge_and_unload
(safe_merge off) results are equal but for the last bit of single elements: a product over few rows may add up in
another order than one over all rows.
"""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BufferedWriter, FileIO
from pathlib import Path
from typing import Any

import torch

from studio.core.errors import JobError
from studio.jobs import lora_weights
from studio.jobs.locations import CONFIG, read_json
from studio.jobs.lora_weights import Matrices, Pair
from studio.jobs.safetensors_file import FLOATS, Tensor, tensors

BLOCK_ELEMENTS = 1 << 17
"""Weights computed at a time: 512 KiB in float32, which stays in the processor's cache (measured: 2^16 to 2^20)."""
WEIGHTS = "*.safetensors"


@dataclass(frozen=True, slots=True)
class Target:
    """A tensor of the base model and the pair that changes it."""

    tensor: Tensor
    pair: Pair


def merge(base: Path, adapter: Path, output: Path) -> int:
    """Write the merged shards of ``base`` to ``output``; return how many tensors were changed.

    Raises JobError, before anything is written, when the adapter is not plain LoRA, when one of its matrices has no
    place in the base model, or when the base weights are quantised.
    """
    shards = {path: tensors(path) for path in sorted(base.glob(WEIGHTS))}
    plan = _plan(shards, lora_weights.pairs(adapter), base)
    # Torch itself gets one thread each: more made the time erratic, and one setting gives one result (measured).
    with ThreadPoolExecutor(torch.get_num_threads(), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        jobs = [pool.submit(_merge_shard, shard, output / shard.name, plan[shard], adapter) for shard in plan]
        for job in jobs:
            job.result()
    return sum(len(targets) for targets in plan.values())


def copy(base: Path, output: Path) -> None:
    """Write the shards of ``base`` to ``output`` as they are; raises JobError for a broken one."""
    for shard in sorted(base.glob(WEIGHTS)):
        tensors(shard)
        shutil.copyfile(shard, output / shard.name)


def _plan(shards: dict[Path, dict[str, Tensor]], pairs: dict[str, Pair], base: Path) -> dict[Path, list[Target]]:
    """For every shard its targets, in file order."""
    config = read_json(base / CONFIG)
    if "quantization_config" in config:
        raise JobError(f"{base} holds quantised weights: nothing can be merged into them", "use the original model")
    names = {name: shard for shard, held in shards.items() for name in held}
    plan: dict[Path, list[Target]] = {shard: [] for shard in shards}
    for module, pair in sorted(pairs.items()):
        name = _weight(module, names, config)
        tensor = shards[names[name]][name]
        _check(tensor, pair)
        plan[names[name]].append(Target(tensor, pair))
    for targets in plan.values():
        targets.sort(key=lambda target: target.tensor.offset)
    return plan


def _weight(module: str, names: dict[str, Path], config: dict[str, Any]) -> str:
    """The base tensor of a module. Some checkpoints leave out the model's prefix: ``h.0.attn`` for
    ``transformer.h.0.attn``."""
    wanted = f"{module}.weight"
    if config.get("tie_word_embeddings") and module.endswith("lm_head"):
        raise JobError("lm_head shares its weights with the embeddings: the adapter cannot be merged into one alone")
    candidates = [wanted] if wanted in names else [name for name in names if wanted.endswith(f".{name}")]
    if len(candidates) != 1:
        raise JobError(
            f"the base model has no weight {wanted}: the adapter was made for another model",
            "check the adapter's base model",
        )
    return candidates[0]


def _check(tensor: Tensor, pair: Pair) -> None:
    if tensor.dtype not in FLOATS:
        raise JobError(f"{tensor.name} is stored as {tensor.dtype}: nothing can be merged into quantised weights")
    if len(tensor.shape) != 2:
        raise JobError(f"{tensor.name} has {len(tensor.shape)} dimensions; only linear layers can be merged")


def _merge_shard(shard: Path, output: Path, targets: list[Target], adapter: Path) -> None:
    """Write the shard from its first byte to its last: what is not targeted is passed on as it is."""
    done = 0
    with (
        lora_weights.opened(adapter) as weights,
        shard.open("rb", buffering=0) as source,
        output.open("wb") as sink,
    ):
        for target in targets:
            matrices = lora_weights.read(weights, target.pair)
            _check_shape(target, matrices)
            _pass_on(source, sink, done, target.tensor.offset)
            done = _write_sum(source, sink, target, matrices)
        _pass_on(source, sink, done, shard.stat().st_size)


def _pass_on(source: FileIO, sink: BufferedWriter, start: int, end: int) -> None:
    """Copy the bytes from ``start`` to ``end`` inside the kernel."""
    sink.flush()
    while start < end:
        start += os.sendfile(sink.fileno(), source.fileno(), start, end - start)


def _check_shape(target: Target, matrices: Matrices) -> None:
    shape = (matrices.b.shape[0], matrices.a.shape[1])
    wanted = target.tensor.shape[::-1] if target.pair.transposed else target.tensor.shape
    if shape != wanted:
        raise JobError(
            f"{target.tensor.name} has shape {wanted}, the adapter's change has {shape}: "
            "the adapter was made for another model"
        )


def _write_sum(source: FileIO, sink: BufferedWriter, target: Target, matrices: Matrices) -> int:
    """Write one tensor with its change, block by block of rows; return the position after it."""
    tensor, scale = target.tensor, target.pair.scale
    rows, columns = tensor.shape
    dtype = FLOATS[tensor.dtype]
    # Rows of the stored weight are outputs, or inputs where the weight is stored transposed.
    left, right = (matrices.a.T, matrices.b.T) if target.pair.transposed else (matrices.b, matrices.a)
    step = max(1, BLOCK_ELEMENTS // columns)
    source.seek(tensor.offset)
    for start in range(0, rows, step):
        part = left[start : start + step]
        buffer = bytearray(len(part) * columns * dtype.itemsize)
        source.readinto(buffer)
        block = torch.frombuffer(buffer, dtype=dtype).view(len(part), columns)
        block.copy_((part @ right).mul_(scale).add_(block))
        sink.write(buffer)
    return source.tell()
