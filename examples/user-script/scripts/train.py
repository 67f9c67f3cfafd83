"""A training loop of one's own: a curriculum, which trl's trainer does not have.

It reads what studio hands over, tells how it goes, keeps a checkpoint after every tenth step, and leaves an adapter.
With several workers (``num_workers``) each runs this script and takes its share of every batch; the first one writes.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import curriculum
import torch
import torch.distributed as workers
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from studio import script

IGNORED = -100
"""Label of tokens that do not count for the loss."""
RANK, WORLD_SIZE = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
"""Which worker this is, and of how many."""


def main(job: script.Job) -> None:
    if WORLD_SIZE > 1:
        workers.init_process_group("gloo")
    torch.manual_seed(job.settings["seed"])  # so that all begin with the same weights
    tokenizer = AutoTokenizer.from_pretrained(job.model)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(job.model), LoraConfig(**job.settings["lora"]))
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], job.settings["learning_rate"])
    done = resume(model, job.checkpoints)
    if done:
        job.log(f"going on after step {done}")
    rows = [encoded(tokenizer, json.loads(line)) for line in job.train.read_text().splitlines()]
    batches = list(curriculum.steps(
        rows, job.config["stages"], job.settings["epochs"], job.config["batch"], job.settings["seed"]
    ))  # fmt: skip
    for step, batch in enumerate(batches, 1):
        if step <= done:
            continue
        loss = backward(model, batch, tokenizer.pad_token_id)
        optimizer.step()
        optimizer.zero_grad()
        job.log(step=step, total=len(batches), loss=loss, longest_row=max(len(ids) for ids, _ in batch))
        if step % 10 == 0 and job.is_main:
            keep(model, job.checkpoints, step)
    if job.is_main:
        model.save_pretrained(job.adapter)
    job.write_metrics({"stages": len(job.config["stages"])})


def backward(model: Any, batch: list[curriculum.Row], pad: int) -> float:
    """The mean loss of a batch, of which every worker takes a share; its gradients are in all of them afterwards."""
    share, told = batch[RANK::WORLD_SIZE], torch.zeros(2)
    if share:
        inputs = padded(share, pad)
        tokens = (inputs["labels"][:, 1:] != IGNORED).sum()
        loss = model(**inputs).loss * tokens
        loss.backward()
        told = torch.stack([loss.detach(), tokens.to(loss.dtype)])
    total, tokens_in_all = summed(told).tolist()
    for parameter in (p for p in model.parameters() if p.requires_grad):
        own = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        parameter.grad = summed(own) / tokens_in_all
    return total / tokens_in_all


def summed(value: torch.Tensor) -> torch.Tensor:
    """Over all workers."""
    if WORLD_SIZE > 1:
        workers.all_reduce(value)
    return value


def encoded(tokenizer: Any, row: dict[str, str]) -> curriculum.Row:
    """Token ids and labels: only the completion counts. It ends in the EOS token already."""
    prompt, whole = tokenizer(row["prompt"])["input_ids"], tokenizer(row["prompt"] + row["completion"])["input_ids"]
    return whole, [IGNORED] * len(prompt) + whole[len(prompt) :]


def padded(batch: list[curriculum.Row], pad: int) -> dict[str, torch.Tensor]:
    width = max(len(ids) for ids, _ in batch)
    missing = [width - len(ids) for ids, _ in batch]
    return {
        "input_ids": torch.tensor([ids + [pad] * n for (ids, _), n in zip(batch, missing, strict=True)]),
        "attention_mask": torch.tensor([[1] * (width - n) + [0] * n for n in missing]),
        "labels": torch.tensor([labels + [IGNORED] * n for (_, labels), n in zip(batch, missing, strict=True)]),
    }


def keep(model: Any, folder: Path, step: int) -> None:
    """Whole or not at all: a job may be killed at any time. Plain SGD has no state of its own to keep."""
    building = folder / "building"
    save_file(get_peft_model_state_dict(model), building)
    building.rename(folder / f"step-{step:06}.safetensors")


def resume(model: Any, folder: Path) -> int:
    """The step after which an earlier attempt kept the weights; 0 for the first attempt."""
    kept = sorted(folder.glob("step-*.safetensors"))
    if not kept:
        return 0
    set_peft_model_state_dict(model, load_file(kept[-1]))
    return int(kept[-1].stem.removeprefix("step-"))


if __name__ == "__main__":
    main(script.job())
