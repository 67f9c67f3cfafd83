"""Trainings that went wrong: losses and gradients that are no numbers, and losses that explode.

A healthy run trips none of this: warm-up begins with the highest losses there are, single rows may be hard, and a
gradient scaler of float16 skips steps whose gradients overflow.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch

from studio.core.errors import JobError

BEGINNING, LOGS, STEPS, WINDOW = 5, 12, 20, 10
"""An explosion is judged against the first logged losses and those of a window before it, and has to last for so many
logs and optimizer steps: a hard row, or ten, make none."""
FACTOR, SHARE, LEAST = 1.5, 0.5, 0.5
"""Every loss of an explosion is above so many times the median of that window; so much of what was learnt since the
beginning is lost, and at least so many nats per token."""
CURES = "lower learning_rate, lengthen warmup_steps or lower max_grad_norm; look for rows of noise in the dataset"


@dataclass(frozen=True, slots=True)
class Anomaly:
    """What went wrong, in words, and the last logged step at which all was well (0: none was)."""

    message: str
    good_step: int


def found(history: Sequence[Mapping[str, Any]], scaled: bool = False, shuffled: bool = True) -> Anomaly | None:
    """What is wrong with the newest entry of a trainer's log, each with its ``step``.

    ``scaled``: a gradient scaler skips steps whose gradients are not finite. ``shuffled``: rows come in random order;
    in any other, harder rows may come later, and a loss that rises says nothing.
    """
    newest = history[-1]
    for name, words in (("loss", "the loss"), ("eval_loss", "the held-out loss"), ("grad_norm", "the gradient norm")):
        value = newest.get(name)
        if value is not None and not math.isfinite(value) and not (name == "grad_norm" and scaled):
            return Anomaly(f"{words} is {value} at step {newest['step']}{_rest(newest, name)}", _before(history))
    return _explosion(history) if shuffled and "loss" in newest else None


def error(anomaly: Anomaly, kept: int | None) -> JobError:
    """What is raised; ``kept`` is the step of the checkpoint that stays."""
    stays = f"; the checkpoint of step {kept} stays" if kept else ""
    return JobError(f"training diverged: {anomaly.message}{stays}", CURES)


def demand_finite(model: torch.nn.Module, step: int) -> None:
    """Raise JobError when a trained weight is not a number: such a checkpoint or adapter must not count."""
    for name, weight in model.named_parameters():
        here = weight.to_local() if hasattr(weight, "to_local") else weight  # FSDP: this worker's part
        if weight.requires_grad and not bool(torch.isfinite(here).all()):
            raise JobError(f"training diverged: {name} holds values that are no numbers at step {step}", CURES)


def _explosion(history: Sequence[Mapping[str, Any]]) -> Anomaly | None:
    """A long run of losses far above what was usual before, and half way back to the beginning or beyond."""
    began = statistics.median(islice((entry["loss"] for entry in history if "loss" in entry), BEGINNING))
    tail = history[-2 * (STEPS + WINDOW) :]  # evaluations stand between the losses
    losses = [(int(entry["step"]), float(entry["loss"])) for entry in tail if "loss" in entry]
    first = next((n for n in range(len(losses) - LOGS, BEGINNING - 1, -1) if _lasted(losses, n)), None)
    if first is None:
        return None
    usual = statistics.median(loss for _, loss in losses[max(0, first - WINDOW) : first])
    level = statistics.median(loss for _, loss in losses[first:])
    lost = level - usual
    if min(loss for _, loss in losses[first:]) <= FACTOR * usual or lost <= max(LEAST, SHARE * (began - usual)):
        return None
    good = losses[first - 1][0]
    lowest, highest = (pick(loss for _, loss in losses[first:]) for pick in (min, max))
    message = (
        f"the loss exploded: since step {good} it lies between {lowest:.4g} and {highest:.4g}, after a median of "
        f"{usual:.4g}, and {began:.4g} in the beginning{_rest(history[-1], 'loss')}"
    )
    return Anomaly(message, good)


def _lasted(losses: Sequence[tuple[int, float]], first: int) -> bool:
    return losses[-1][0] - losses[first - 1][0] >= STEPS


def _before(history: Sequence[Mapping[str, Any]]) -> int:
    """The step of the log before the newest."""
    step = history[-1]["step"]
    return max((int(entry["step"]) for entry in history if "loss" in entry and entry["step"] < step), default=0)


def _rest(entry: Mapping[str, Any], name: str) -> str:
    """The other numbers of a log, which help to find the cause."""
    words = {"loss": "loss", "learning_rate": "learning rate", "grad_norm": "gradient norm"}
    others = [f"{text} {entry[key]:.3g}" for key, text in words.items() if key != name and key in entry]
    return f" ({', '.join(others)})" if others else ""
