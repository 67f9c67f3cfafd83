"""What a job tells of itself while it runs, in words that are safe to print: others may write where a job in a
workspace does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from studio.core.event import Event
from studio.core.jobresult import EarlyStop
from studio.report.measures import said
from studio.report.plain import plain


def progress(event: Event) -> str:
    """The stage, how far it is, and what it told: ``train 5/10 loss 1.234, 1:01 left``."""
    steps = f"{event.step:,}/{event.total:,}" if event.step is not None and event.total else ""
    return " ".join(filter(None, (plain(event.phase), steps, numbers(event))))


def early_stop(output: Mapping[str, Any]) -> str:
    """Why a training ended before its last step; "" when it did not."""
    stopped = output.get("stopped")
    if not stopped or isinstance(stopped, str):  # records of earlier versions hold the sentence
        return plain(stopped or "")
    return plain(EarlyStop.model_validate(stopped).words)


def numbers(event: Event) -> str:
    """What it told besides the step."""
    parts = [plain(event.message)] if event.message else []
    if event.loss is not None:
        parts.append(f"loss {event.loss:.3f}")
    if event.eval_loss is not None:
        parts.append(f"held-out loss {event.eval_loss:.3f}")
    if event.tokens_per_second is not None:
        parts.append(f"{event.tokens_per_second:,.0f} tokens/s")
    if event.gpu_memory_bytes is not None:
        parts.append(f"{said('gpu_memory_bytes', event.gpu_memory_bytes)} on the GPU")
    elif event.memory_bytes is not None:
        parts.append(f"{said('memory_bytes', event.memory_bytes)}")
    if event.eta_seconds is not None and math.isfinite(event.eta_seconds):
        parts.append(f"{_clock(event.eta_seconds)} left")
    return ", ".join(parts)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
