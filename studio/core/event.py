"""One line of ``events.jsonl``: what a job tells of itself while it runs."""

from __future__ import annotations

from studio.core.record import Record


class Event(Record):
    """One line of ``events.jsonl``. ``phase`` names the stage; the rest is present where it has a meaning."""

    time: float
    """Seconds since the epoch."""
    phase: str
    message: str = ""
    step: int | None = None
    total: int | None = None
    loss: float | None = None
    eval_loss: float | None = None
    """Of held-out rows; mean per token in nats, like ``loss``."""
    learning_rate: float | None = None
    gradient_norm: float | None = None
    tokens_per_second: float | None = None
    memory_bytes: float | None = None
    """Resident, of the process that tells; of a training on several, the first."""
    gpu_memory_bytes: float | None = None
    """Held on the GPU, with what the allocator keeps for reuse, as ``nvidia-smi`` counts but for CUDA itself."""
    eta_seconds: float | None = None
