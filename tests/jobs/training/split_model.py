"""Run by torch's launcher on two processes: a model split by FSDP, one step, and its adapter saved whole.

Arguments: the base model's folder, and a folder for the adapter. accelerate does not split models on the CPU, so this
splits it with torch's own ``fully_shard``, as accelerate does on GPUs.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from torch.distributed.fsdp import fully_shard
from transformers import AutoModelForCausalLM, AutoTokenizer

from studio.jobs import ranks
from studio.jobs.model import adapters
from studio.jobs.training import held_out, sharding

ROWS = {"prompt": ["lost my", "cannot use"], "completion": [" card", " login"]}


def stepped(model: Any, ids: torch.Tensor) -> Any:
    """The same model after one step on these tokens."""
    optimizer = torch.optim.SGD([each for each in model.parameters() if each.requires_grad], 0.5)
    for _ in range(2):  # in the first, lora_B is zero and lora_A learns nothing
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model


def loaded(folder: str) -> Any:
    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(folder)
    return get_peft_model(base, LoraConfig(r=8, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"))


def main(folder: str, target: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(["lost my card"], return_tensors="pt")["input_ids"]
    torch.distributed.init_process_group("gloo")
    split = loaded(folder)
    for layer in split.base_model.model.model.layers:
        fully_shard(layer)
    fully_shard(split)
    stepped(split, ids)
    part = next(each for name, each in split.named_parameters() if "lora_B" in name)
    rows = Dataset.from_dict(ROWS)
    measured = held_out.loss(split, tokenizer, rows, None)
    weights = sharding.gathered(split)
    if ranks.is_main():
        whole = stepped(loaded(folder), ids)
        digests = [
            adapters.save(split, tokenizer, "tiny", target / "split", weights),
            adapters.save(whole, tokenizer, "tiny", target / "whole"),
        ]
        told = {
            "digests": digests,
            "losses": [measured, held_out.loss(whole, tokenizer, rows, None)],
            "part": part.to_local().numel() / part.numel(),
            "gathered": len(weights),
            "frozen": sum("lora_" not in name for name in weights),
        }
        (target / "told.json").write_text(json.dumps(told))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
