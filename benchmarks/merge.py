"""Merging an adapter into a bfloat16 model of 3.5 GB: beside copying the same bytes, and beside PEFT, in one run.

    python benchmarks/merge.py [--rounds 3] [--layers 24] [--single] [--folder DIR] [--json FILE]

A Llama of random weights and a LoRA adapter of rank 16 on all its linear layers are written to a temporary folder.
Each way runs in a process of its own, in turns: copying the shards, merging as an export does, and PEFT's
merge_and_unload between from_pretrained and save_pretrained. All of them end when the bytes are on the disk (fsync);
merging hashes them, too. Seconds, of wall clock and of processor, are those of the work, without imports; memory is the
most that the process held, imports included (wait4, ru_maxrss). Merging uses every core, so on a machine that is busy
otherwise the ratio of wall clock goes towards that of processor. Afterwards the two results are compared, bit by bit.
About five minutes and three times the model on the disk; needs torch and peft.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import measuring

WRITE, COPY, STUDIO, PEFT = "write", "copy", "studio", "peft"
SHAPE = "shape.json"
RANK = 16
LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
TIME_GOAL = 1.5
"""Times the seconds of copying and syncing the same bytes."""
MEMORY_GOAL = 300 * (1 << 20)
"""Bytes beside the largest tensor."""
Work = Callable[[Path, Path, Path], None]
"""From base and adapter to output."""
Way = Callable[[], Work]


def main() -> int:
    asked = _arguments()
    if asked.way:
        done = write if asked.way == WRITE else timed(WAYS[asked.way])
        print(json.dumps(done(asked.base, asked.adapter, asked.output)))
        return 0
    with tempfile.TemporaryDirectory(prefix="studio-merge-", dir=asked.folder) as folder:
        root = Path(folder)
        (root / SHAPE).write_text(json.dumps([asked.layers, "100GB" if asked.single else "1GB"]))
        largest = json.loads(child(WRITE, root).printed.splitlines()[-1])
        return compare(root, largest, asked)


def child(way: str, root: Path) -> measuring.Cost:
    """This process stays small: a child's peak begins with what its parent held."""
    command = [sys.executable, __file__, "--way", way, root / "base", root / "adapter", root / way]
    return measuring.demand([str(word) for word in command], root, root)


def compare(root: Path, largest: int, asked: argparse.Namespace) -> int:
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    cpu: dict[str, list[float]] = {way: [] for way in WAYS}
    peaks = dict.fromkeys(WAYS, 0.0)
    for _ in range(asked.rounds):
        for way in WAYS:
            shutil.rmtree(root / way, ignore_errors=True)
            (root / way).mkdir()
            cost = child(way, root)
            took = json.loads(cost.printed.splitlines()[-1])
            seconds[way].append(took["wall"])
            cpu[way].append(took["cpu"])
            peaks[way] = max(peaks[way], cost.memory)
            if way == COPY:
                shutil.rmtree(root / way)
    size = sum(file.stat().st_size for file in (root / "base").glob("*.safetensors"))
    differing = differences(root / STUDIO, root / PEFT)
    ratios = {way: statistics.median(map(_ratio, seconds[way], seconds[COPY])) for way in WAYS}
    print(f"{size / 1e9:.2f} GB, largest tensor {largest / 1e6:.0f} MB, load {measuring.load_average()}")
    for way in WAYS:
        wall, busy = min(seconds[way]), min(cpu[way])
        print(
            f"{way:8} {wall:6.1f} s, {busy:6.1f} s of processor   {ratios[way]:5.2f} x copying   {peaks[way]:6.0f} MiB"
        )
    beside = peaks[STUDIO] * (1 << 20) - largest
    reached = ratios[STUDIO] <= TIME_GOAL and beside <= MEMORY_GOAL and not differing
    print(f"beside one tensor: {beside / (1 << 20):.0f} MiB; tensors that differ from PEFT's: {len(differing)}")
    figures = {
        "bytes": size,
        "largest": largest,
        "seconds": seconds,
        "cpu": cpu,
        "peaks_mib": peaks,
        "differing": differing,
    }
    measuring.save(asked.json, {**figures, "load": measuring.load_average(), "ratios": ratios})
    return 0 if reached else 1


def _ratio(seconds: float, copying: float) -> float:
    return seconds / copying


def write(base: Path, adapter: Path, output: Path) -> int:
    layers, shard = json.loads((output.parent / SHAPE).read_text())
    largest = write_model(base, layers, shard)
    write_adapter(base, adapter)
    return largest


def write_model(folder: Path, layers: int, shard: str) -> int:
    """A Llama of random weights; the bytes of its largest tensor."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        hidden_size=2048,
        intermediate_size=8192,
        num_hidden_layers=layers,
        num_attention_heads=16,
        num_key_value_heads=16,
        vocab_size=32000,
        tie_word_embeddings=False,
        dtype=torch.bfloat16,
    )
    with torch.device("meta"):
        model = LlamaForCausalLM(config).to(torch.bfloat16)
    model = model.to_empty(device="cpu")
    noise = (torch.randn(1 << 22) * 0.02).to(torch.bfloat16)
    for parameter in model.parameters():
        flat = parameter.data.view(-1)
        for start in range(0, len(flat), len(noise)):
            flat[start : start + len(noise)] = noise[: len(flat) - start]
    model.save_pretrained(str(folder), max_shard_size=shard)
    return max(parameter.nbytes for parameter in model.parameters())


def write_adapter(base: Path, folder: Path) -> None:
    """Random matrices, as peft 0.21 writes them."""
    import torch
    from peft import LoraConfig
    from safetensors import safe_open
    from safetensors.torch import save_file

    matrices = {}
    for shard in base.glob("*.safetensors"):
        with safe_open(shard, framework="pt") as weights:
            for name in weights.keys():  # noqa: SIM118 (not a dict)
                module = name.removesuffix(".weight")
                if module.rpartition(".")[2] in LINEAR:
                    rows, columns = weights.get_slice(name).get_shape()
                    matrices[f"base_model.model.{module}.lora_A.weight"] = torch.randn(RANK, columns) * 0.02
                    matrices[f"base_model.model.{module}.lora_B.weight"] = torch.randn(rows, RANK) * 0.02
    LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=LINEAR, task_type="CAUSAL_LM").save_pretrained(str(folder))
    save_file(matrices, folder / "adapter_model.safetensors", {"format": "pt"})


def timed(way: Way) -> Callable[[Path, Path, Path], dict[str, float]]:
    """Seconds until what was made is on the disk."""

    def run(base: Path, adapter: Path, output: Path) -> dict[str, float]:
        work = way()
        wall, cpu = time.perf_counter(), time.process_time()
        work(base, adapter, output)
        sync(output)
        return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}

    return run


def copy() -> Work:
    """The least that any export of whole weights does."""

    def work(base: Path, adapter: Path, output: Path) -> None:
        for shard in sorted(base.glob("*.safetensors")):
            shutil.copyfile(shard, output / shard.name)

    return work


def studio() -> Work:
    from studio.jobs.export import merge

    def work(base: Path, adapter: Path, output: Path) -> None:
        merge.merge(base, adapter, output)

    return work


def peft() -> Work:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    def work(base: Path, adapter: Path, output: Path) -> None:
        model = AutoModelForCausalLM.from_pretrained(str(base), dtype="auto")
        PeftModel.from_pretrained(model, str(adapter)).merge_and_unload().save_pretrained(str(output))

    return work


WAYS: dict[str, Way] = {COPY: copy, STUDIO: studio, PEFT: peft}
"""Each imports what it needs, and returns its work."""


def sync(folder: Path) -> None:
    for file in folder.iterdir():
        with file.open("rb") as stream:
            os.fsync(stream.fileno())


def differences(ours: Path, theirs: Path) -> list[str]:
    """Names of the tensors that are not the same in both folders."""
    import torch
    from safetensors import safe_open

    def held(folder: Path) -> dict[str, Path]:
        found = {}
        for file in folder.glob("*.safetensors"):
            with safe_open(file, framework="pt") as weights:
                found |= dict.fromkeys(weights.keys(), file)
        return found

    def read(file: Path, name: str) -> torch.Tensor:
        with safe_open(file, framework="pt") as weights:
            return weights.get_tensor(name)

    left, right = held(ours), held(theirs)
    both = left.keys() & right.keys()
    return sorted(
        (left.keys() ^ right.keys()) | {n for n in both if not torch.equal(read(left[n], n), read(right[n], n))}
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--single", action="store_true", help="one file instead of shards of 1 GB")
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--way", choices=[WRITE, *WAYS], help=argparse.SUPPRESS)
    for name in ("base", "adapter", "output"):
        parser.add_argument(name, type=Path, nargs="?", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
