"""Merge an adapter into a base model, from safetensors to safetensors, without loading the model.

What is not changed is passed on inside the kernel; what is, is computed some rows at a time. Memory holds a block and
an adapter pair per core, whatever the model's size; only transposed and embedding weights of a DoRA adapter, and
float64 weights, are computed as a whole. The weights are those of peft 0.21's merge_and_unload, bit for bit, where that
keeps the meaning: of tied weights of which only one is changed, PEFT changes both, and here they are untied.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import torch

from studio.core.errors import JobError
from studio.core.fingerprints import BLOCK
from studio.jobs.export import lora_sums, lora_weights, merge_plan, packed_weights, safetensors_file
from studio.jobs.export.merge_plan import INDEX, TIED, Piece, Plan
from studio.jobs.export.packed_weights import Rows
from studio.jobs.export.safetensors_file import FLOATS, Tensor, rows
from studio.jobs.inputs.locations import ADAPTER_WEIGHTS, CONFIG, read_json

RUN_BYTES = 1 << 28
"""Bytes that one core writes at a time; more cores than shards share a shard."""


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring pieces of a shard, and where in the output the first one goes."""

    shard: Path
    output: Path
    start: int
    pieces: list[tuple[str, Piece]]


@dataclass(frozen=True, slots=True)
class Merged:
    """What was changed, and the SHA-256 of every shard's bytes by the name of its file."""

    plan: Plan
    digests: dict[str, str]


@dataclass(frozen=True, slots=True)
class Files:
    """What one run reads and writes, each at its own position."""

    adapter: FileIO
    base: FileIO
    output: FileIO


def merge(base: Path, adapter: Path, output: Path) -> Merged:
    """Write the merged shards of ``base`` to ``output``; they are on the disk when this returns.

    Raises JobError, before anything is written, when the adapter is more than LoRA, when something of it has no place
    in the base model, when the base's weights cannot be had as floats, or when the disk has no room for the result.
    """
    plan = merge_plan.make(base, lora_weights.changes(adapter))
    check_space(plan.size, output)
    runs = {shard: list(_runs(shard, plan, output / shard.name)) for shard in plan.shards}
    # Torch itself gets one thread each: more made the time erratic, and one setting gives one result (measured).
    with ThreadPoolExecutor(torch.get_num_threads(), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            jobs = {shard: [pool.submit(_write, run, adapter) for run in parts] for shard, parts in runs.items()}
            digests = {shard.name: _followed(output / shard.name, parts) for shard, parts in jobs.items()}
        finally:
            pool.shutdown(cancel_futures=True)  # who fails, or is told to stop, does not finish a large model first
    return Merged(plan, digests)


def copy(base: Path, output: Path) -> dict[str, str]:
    """Write the shards of ``base`` to ``output`` as they are; raises JobError for a broken one.

    The SHA-256 of each by the name of its file; they are on the disk when this returns.
    """
    shards = merge_plan.shard_paths(base)
    check_space(sum(shard.stat().st_size for shard in shards), output)
    for shard in shards:
        safetensors_file.tensors(shard)
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        return dict(pool.map(lambda shard: (shard.name, _copied(shard, output / shard.name)), shards))


def _copied(shard: Path, output: Path) -> str:
    shutil.copyfile(shard, output)
    return _followed(output, [])


def _followed(output: Path, writers: list[Future[int]]) -> str:
    """Hash a shard, and have the disk take it, behind those who write its parts: the next is computed meanwhile.

    Returns the SHA-256 of the whole file, which is then on the disk.
    """
    hashed = hashlib.sha256()
    with output.open("rb", buffering=0) as stream:
        for writer in writers:
            _hash(stream, writer.result(), hashed)
            os.fsync(stream.fileno())
        _hash(stream, output.stat().st_size, hashed)
        os.fsync(stream.fileno())
    return hashed.hexdigest()


def _hash(stream: FileIO, end: int, hashed: hashlib._Hash) -> None:
    buffer = memoryview(bytearray(BLOCK))
    while (left := end - stream.tell()) > 0:
        got = stream.readinto(buffer[:left])
        if not got:
            raise JobError(f"{stream.name} became shorter while it was read")
        hashed.update(buffer[:got])


def check_space(needed: int, output: Path) -> None:
    """Fail before the copy rather than in its middle."""
    free = shutil.disk_usage(output).free
    if free < needed:
        raise JobError(
            f"the disk of {output.parent} has {free / 1e9:.1f} GB left, the model needs {needed / 1e9:.1f} GB",
            "free some space there, then apply again",
        )


def settle(plan: Plan, output: Path) -> None:
    """Make the configuration and the index in ``output`` tell what was written."""
    if plan.unties:
        _edit(output / CONFIG, {TIED: False})
    if plan.unpacks:
        _edit(output / CONFIG, {}, without=packed_weights.SETTINGS)
    if (plan.added or plan.unpacks) and (output / INDEX).exists():
        names = {name: path.name for path, pieces in plan.shards.items() for name in pieces}
        metadata = read_json(output / INDEX).get("metadata", {}) | {"total_size": plan.size}
        _edit(output / INDEX, {"metadata": metadata, "weight_map": dict(sorted(names.items()))})


def _edit(path: Path, changes: dict[str, Any], without: str = "") -> None:
    values = {key: value for key, value in read_json(path).items() if key != without} | changes
    path.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _runs(shard: Path, plan: Plan, output: Path) -> Iterator[Run]:
    """Write the beginning of a shard; its pieces, in parts of about the same size."""
    pieces = plan.shards[shard]
    header, offsets = safetensors_file.layout(shard, {name: piece.source for name, piece in pieces.items()})
    output.write_bytes(header)
    part: list[tuple[str, Piece]] = []
    size = 0
    for name, piece in pieces.items():
        part.append((name, piece))
        size += piece.source.size
        if size >= RUN_BYTES:
            yield Run(shard, output, offsets[part[0][0]], part)
            part, size = [], 0
    if part:
        yield Run(shard, output, offsets[part[0][0]], part)


def _write(run: Run, adapter: Path) -> int:
    """The position after the last byte."""
    with (
        (adapter / ADAPTER_WEIGHTS).open("rb", buffering=0) as weights,
        run.shard.open("rb", buffering=0) as source,
        run.output.open("r+b", buffering=0) as sink,
    ):
        sink.seek(run.start)
        for name, piece in run.pieces:
            if piece.is_changed or piece.packed:
                _write_changed(name, piece, Files(weights, source, sink))
            else:
                _pass_on(source, sink, piece.source)
        return sink.tell()


def _pass_on(source: FileIO, sink: FileIO, tensor: Tensor) -> None:
    """Copy the tensor's bytes inside the kernel."""
    start, end = tensor.offset, tensor.offset + tensor.size
    while start < end:
        sent = os.sendfile(sink.fileno(), source.fileno(), start, end - start)
        if not sent:
            raise JobError(f"{source.name} became shorter while it was read")
        start += sent


def _write_changed(name: str, piece: Piece, files: Files) -> None:
    """Write one tensor as floats with its change, block by block of rows."""
    tensor, dtype = piece.source, FLOATS[piece.source.dtype]
    count = tensor.shape[0] if tensor.shape else 1
    bias = _bias(name, piece, files.adapter)
    pair = piece.pair if bias is None else None
    change = lora_sums.read(files.adapter, pair, dtype, piece.transposed) if pair else None
    source = _source(piece, files)
    step = piece.packed.step if piece.packed else 1
    for start, end in lora_sums.blocks(count, math.prod(tensor.shape[1:]), change, step):
        block = source(start, end)
        if change is not None:
            lora_sums.add(block, change, start)
        if bias is not None:
            block.add_(bias[start:end])
        _drain(files.output, block)


def _source(piece: Piece, files: Files) -> Rows:
    """Rows of the base, or of what the adapter has in its place."""
    whole = piece.whole
    if whole is not None:
        return lambda start, end: rows(files.adapter, whole, start, end).to(FLOATS[piece.source.dtype])
    if piece.packed is not None:
        return packed_weights.reader(piece.packed, files.base)
    return lambda start, end: rows(files.base, piece.source, start, end)


def _bias(name: str, piece: Piece, adapter: FileIO) -> torch.Tensor | None:
    """What the pair adds to a bias; None for a weight."""
    if piece.pair is None or piece.pair.bias is None or not name.endswith(".bias"):
        return None
    added = rows(adapter, piece.pair.bias).to(lora_sums.inner(FLOATS[piece.source.dtype]))
    return added * piece.pair.scale


def _drain(output: FileIO, block: torch.Tensor) -> None:
    rest = memoryview(block.reshape(-1).view(torch.uint8).numpy())
    while rest:
        rest = rest[output.write(rest) :]
