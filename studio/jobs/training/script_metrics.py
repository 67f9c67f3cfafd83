"""The numbers of a training by a script: those it left, those that follow from its losses, and those measured here."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from studio.jobs.events import EventLog
from studio.jobs.training.script_events import NAME, is_number

LARGEST = 1 << 20
"""Bytes of the file; more is no list of metrics."""


def left(file: Path, events: EventLog) -> dict[str, float]:
    """What the script left in ``metrics.json``. Hours of training are not thrown away for a wrong number: what is none
    is left out, and said."""
    if not file.exists():
        return {}
    try:
        held = json.loads(file.read_text(encoding="utf-8")) if file.stat().st_size <= LARGEST else None
    except (OSError, ValueError, RecursionError):
        held = None
    if not isinstance(held, dict):
        events.write("evaluate", f"{file.name} is left out: it is no JSON object of names and numbers")
        return {}
    found = {name: float(value) for name, value in held.items() if _is_metric(name, value)}
    if absent := [name for name in held if name not in found]:
        events.write(
            "evaluate", f"{file.name}: left out, as no finite number under a plain name: {', '.join(absent)[:300]}"
        )
    return found


def of_losses(history: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """``final_loss``, and ``train_loss``, the mean over steps: each told loss counts for the steps since the one
    before."""
    losses = [(int(entry["step"]), float(entry["loss"])) for entry in history if "loss" in entry]
    if not losses:
        return {}
    weighted, last = 0.0, 0
    for step, loss in losses:
        weighted, last = weighted + loss * max(0, step - last), max(step, last)
    return {"final_loss": losses[-1][1]} | ({"train_loss": weighted / last} if last else {})


def of_held_out(loss: float) -> dict[str, float]:
    """Mean per token in nats, and its exponential."""
    return {"eval_loss": loss, "perplexity": math.exp(min(loss, 700.0))}


def _is_metric(name: str, value: Any) -> bool:
    return is_number(value) and math.isfinite(value) and NAME.match(name) is not None
