"""The adapter that a training script left: checked, and taken over in the form that studio's own training gives it."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from transformers import PreTrainedTokenizerBase

from studio.core.errors import JobError
from studio.core.fingerprints import tree
from studio.jobs.events import EventLog
from studio.jobs.inputs.locations import ADAPTER_CONFIG, ADAPTER_WEIGHTS, read_json
from studio.jobs.model import adapters, tokenizers
from studio.jobs.model.adapters import PICKLED_ARGUMENTS

SAVE = "save it with save_pretrained of the PEFT model, into the folder 'adapter' of job.json"
TAKEN = frozenset({".json", ".jinja", ".model", ".safetensors", ".txt"})
"""Endings of what belongs to an adapter and its tokenizer; none of them is a pickle."""
NOT_MISSED = frozenset({PICKLED_ARGUMENTS, "README.md"})
"""What PEFT and transformers leave too, and studio's own training takes away without a word."""
TOKENIZER = "tokenizer_config.json"


def check(folder: Path) -> int:
    """How many numbers the adapter holds. Raises JobError for what is no adapter, or holds none."""
    if not (folder / ADAPTER_CONFIG).is_file():
        raise JobError(f"the script ended well and left no adapter: {_instead(folder)}", SAVE)
    if not isinstance(read_json(folder / ADAPTER_CONFIG).get("peft_type"), str):
        raise JobError(f"the script's {ADAPTER_CONFIG} names no peft_type, so it is no PEFT adapter", SAVE)
    weights = folder / ADAPTER_WEIGHTS
    if not weights.is_file():
        pickled = sorted(path.name for path in folder.glob("*.bin") if path.name != PICKLED_ARGUMENTS)
        found = f"only {pickled[0]}, and pickled weights are refused" if pickled else f"no {ADAPTER_WEIGHTS}"
        raise JobError(f"the script left an adapter with {found}", "save it with safe_serialization=True")
    return _check_weights(weights)


def take_over(left: Path, base_name: str, tokenizer: PreTrainedTokenizerBase, folder: Path, events: EventLog) -> str:
    """Copy what belongs to the adapter to ``folder``, in one step, and return its digest. A tokenizer of the script's
    own counts; without one, the base model's is put beside the weights."""
    building = folder.with_name(f".{folder.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    left_out = []
    for name, path in tree(left).items():
        if path.parent == left and path.suffix in TAKEN:
            shutil.copyfile(path, building / name)
        elif name not in NOT_MISSED:
            left_out.append(name)
    if left_out:
        more = f" and {len(left_out) - 3} more" if len(left_out) > 3 else ""
        events.write("save", f"not part of an adapter, and left out: {', '.join(left_out[:3])}{more}")
    if not (building / TOKENIZER).exists():
        tokenizers.save(tokenizer, building)
    return adapters.settle(building, base_name, folder)


def _check_weights(path: Path) -> int:
    count, moved = 0, False
    try:
        with safe_open(path, framework="pt") as weights:
            for name in weights.keys():  # noqa: SIM118 - no mapping
                tensor = weights.get_tensor(name)
                count += tensor.numel()
                if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                    raise JobError(f"the script's adapter holds numbers that are not finite, in {name}: "
                                   "training diverged", "lower the learning rate")  # fmt: skip
                moved = moved or ("lora_A" not in name and bool(torch.count_nonzero(tensor)))
    except (SafetensorError, OSError) as error:
        raise JobError(f"the script's {ADAPTER_WEIGHTS} cannot be read: {error}", SAVE) from error
    if not count:
        raise JobError("the script's adapter holds no weights", SAVE)
    if not moved:
        raise JobError(
            "the script's adapter changes nothing: all of it but lora_A is zero, as before the first step",
            "did the script train? it must save the model that it trained",
        )
    return count


def _instead(folder: Path) -> str:
    """What is there in place of an adapter."""
    names = sorted(path.name for path in folder.iterdir())[:5] if folder.is_dir() else []
    if "config.json" in names or "model.safetensors" in names:
        return "the folder holds a whole model"
    return f"the folder holds {', '.join(names)}" if names else "the folder is not there or empty"
