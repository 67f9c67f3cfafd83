"""What a training tells while it trains, from inside Axolotl.

This file is copied into the run's folder and imported there by Axolotl, in Axolotl's own environment: it must not
import anything of studio. It appends one JSON object a line to the file that ``STUDIO_REPORT`` names, saves by time as
well as by step, and seals each checkpoint with a manifest like that of ``studio.jobs.training.checkpoints``.
"""

from __future__ import annotations

import json
import math
import os
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from axolotl.integrations.base import BasePlugin
from transformers import TrainerCallback

REPORT, EARLIER = "STUDIO_REPORT", "STUDIO_EARLIER_SECONDS"
LOG_SECONDS, SAVE_SECONDS = 10.0, 60.0
"""Longest silence, and longest work lost to a kill; one process alone may decide by its own clock."""
PICKLED_ARGUMENTS = "training_args.bin"
MANIFEST = "studio.complete.json"
IGNORED = -100
MOST_TOKENS = 2048
"""Of one forward pass over held-out rows."""


class Report(BasePlugin):
    """The plugin that the resolved configuration names."""

    def load_datasets(self, cfg: Any, preprocess: bool = False) -> None:
        """Called between the configuration and the model, and loads nothing. Of several processes Axolotl puts each on
        the GPU of its number (axolotl.utils.config.normalize_config), also where there is none."""
        if not torch.cuda.is_available():
            cfg.device_map = "cpu"

    def add_callbacks_post_trainer(self, cfg: Any, trainer: Any) -> list[TrainerCallback]:
        """Called once, when the trainer has its model and its rows."""
        trainer.args.logging_nan_inf_filter = False  # it would log 0 in place of a loss that is no number
        return [Reporter(trainer)]


class Reporter(TrainerCallback):
    """Tells of steps, checkpoints and the end; the first process alone does."""

    def __init__(self, trainer: Any) -> None:
        self._trainer = trainer
        self._earlier = float(os.environ.get(EARLIER, "0"))
        self._started = self._logged = self._saved = time.perf_counter()
        self._tokens, self._epoch = 0, 0.0
        """Of all rows; and how far it was at the last log."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The clocks start; what will be trained, and on what."""
        self._started = self._logged = self._saved = time.perf_counter()
        model = self._trainer.model
        counts = [(p.numel(), p.requires_grad) for p in model.parameters()]
        cuda = next(model.parameters()).is_cuda
        counted = _tokens(self._trainer.train_dataset)
        self._tokens, self._epoch = counted["tokens"], state.epoch or 0.0
        self._tell(
            state,
            "began",
            device=torch.cuda.get_device_name() if cuda else "cpu",
            rows=len(self._trainer.train_dataset),
            **counted,
            parameters=_base_parameters(model, sum(number for number, _ in counts)),
            trainable=sum(number for number, trained in counts if trained),
            earlier=self._earlier,
            history=state.log_history,
        )

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Log and save at the latest after so many seconds; always log the last step."""
        now, alone = time.perf_counter(), args.world_size == 1
        if state.global_step >= state.max_steps or (alone and now - self._logged > LOG_SECONDS):
            control.should_log = True
        if alone and now - self._saved > SAVE_SECONDS and str(args.save_strategy.value) != "no":
            control.should_save = True

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Every number that the trainer logs, and tokens per second."""
        numbers = {name: float(value) for name, value in (logs or {}).items() if isinstance(value, int | float)}
        if "loss" not in numbers and "eval_loss" not in numbers:
            return
        if "loss" in numbers:
            now, epoch = time.perf_counter(), state.epoch or 0.0
            numbers["tokens_per_second"] = (epoch - self._epoch) * self._tokens / max(now - self._logged, 1e-9)
            self._logged, self._epoch = now, epoch
            numbers |= _memory()
        if not math.isfinite(numbers.get("loss", 0.0)):
            self._tell(state, "diverged", loss=str(numbers["loss"]))
            raise FloatingPointError(f"the loss is {numbers['loss']} at step {state.global_step}: training diverged")
        self._tell(state, "logged", numbers={n: v for n, v in numbers.items() if math.isfinite(v)})

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Seal the checkpoint: only sealed ones are resumed from."""
        self._demand_finite(state)
        self._saved = time.perf_counter()
        if state.is_world_process_zero:
            _seal(Path(args.output_dir, f"checkpoint-{state.global_step}"), self._seconds())

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """How long it took, what it held at most, and the loss of the held-out rows."""
        self._demand_finite(state)
        seconds = self._seconds()
        found: dict[str, float] = {"seconds": seconds, "epochs": state.epoch or 0.0, **_peaks()}
        if state.is_world_process_zero and not (self._trainer.is_fsdp_enabled or self._trainer.is_deepspeed_enabled):
            found |= _held_out(self._trainer)
        self._tell(state, "ended", **found)

    def _demand_finite(self, state: Any) -> None:
        """A checkpoint or an adapter with such weights would only be resumed from, or asked, in vain."""
        for name, weight in self._trainer.model.named_parameters():
            if weight.requires_grad and not bool(torch.isfinite(weight).all()):
                self._tell(state, "diverged", weight=name)
                raise FloatingPointError(f"{name} is not finite at step {state.global_step}: training diverged")

    def _seconds(self) -> float:
        return self._earlier + time.perf_counter() - self._started

    def _tell(self, state: Any, what: str, **values: Any) -> None:
        if state.is_world_process_zero:
            line = {"what": what, "step": state.global_step, "total": state.max_steps, **values}
            with open(os.environ[REPORT], "a", encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")


def _base_parameters(model: Any, counted: int) -> int:
    """All parameters; those that 4-bit weights pack in pairs one by one, where PEFT can tell."""
    return int(model.get_nb_trainable_parameters()[1]) if hasattr(model, "get_nb_trainable_parameters") else counted


def _tokens(dataset: Any) -> dict[str, int]:
    """Tokens of the rows, and those that count for the loss."""
    labels = [row["labels"] for row in dataset]
    return {
        "tokens": sum(len(row) for row in labels),
        "unmasked": sum(1 for row in labels for label in row if label != IGNORED),
    }


def _seal(folder: Path, seconds: float) -> None:
    (folder / PICKLED_ARGUMENTS).unlink(missing_ok=True)
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != MANIFEST)
    content = {"seconds": seconds, "files": {str(path.relative_to(folder)): path.stat().st_size for path in files}}
    building = folder / f".{MANIFEST}"
    building.write_text(json.dumps(content, sort_keys=True), encoding="utf-8")
    building.replace(folder / MANIFEST)


def _memory() -> dict[str, float]:
    """Resident bytes now, and bytes that the GPU's allocator has taken, where there is one."""
    pages = Path("/proc/self/statm")
    found = {}
    if pages.exists():
        found["memory_bytes"] = float(int(pages.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
    if torch.cuda.is_available():
        found["gpu_memory_bytes"] = float(torch.cuda.memory_reserved())
    return found


def _peaks() -> dict[str, float]:
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = {"peak_memory_bytes": float(most if sys.platform == "darwin" else most * 1024)}
    if torch.cuda.is_available():
        found["peak_gpu_memory_bytes"] = float(torch.cuda.max_memory_allocated())
    return found


def _held_out(trainer: Any) -> dict[str, float]:
    """Mean loss per counted token of the held-out rows, in nats; nothing without any."""
    rows = [(row["input_ids"], row["labels"]) for row in trainer.eval_dataset or ()]
    model, nats, counted = trainer.model, 0.0, 0
    was_training = model.training
    model.eval()
    for batch in _batches(sorted(rows, key=lambda row: len(row[0]))):
        summed, number = _loss(model, batch)
        nats, counted = nats + summed, counted + number
    model.train(was_training)
    return {"held_out_loss": nats / counted, "held_out_rows": float(len(rows))} if counted else {}


def _batches(rows: list[Any]) -> Iterator[list[Any]]:
    """Rows of like length; of one batch at most so many tokens, padding included."""
    batch: list[Any] = []
    for row in rows:
        if batch and len(row[0]) * (len(batch) + 1) > MOST_TOKENS:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _loss(model: Any, batch: list[Any]) -> tuple[float, int]:
    """Summed loss of a batch and the number of tokens that count. What pads does not matter: it is masked."""
    device, width = next(model.parameters()).device, max(len(ids) for ids, _ in batch)
    ids = torch.tensor([row + [0] * (width - len(row)) for row, _ in batch], device=device)
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row, _ in batch], device=device)
    labels = torch.tensor([row + [IGNORED] * (width - len(row)) for _, row in batch], device=device)[:, 1:]
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1]
    flat = logits.float().reshape(-1, logits.shape[-1])
    loss = torch.nn.functional.cross_entropy(flat, labels.reshape(-1), ignore_index=IGNORED, reduction="sum")
    return float(loss), int((labels != IGNORED).sum())
