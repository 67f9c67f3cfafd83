"""Numbers with their names and units, as people write them."""

from __future__ import annotations

from dataclasses import dataclass

from studio.core.numerals import number


@dataclass(frozen=True, slots=True)
class Label:
    """What a number is called, and in what it is counted; numbers are divided by ``scale`` to be in that."""

    label: str
    unit: str = ""
    scale: float = 1.0


_GB = 1e9
LABELS: dict[str, Label] = {
    "loss": Label("training loss", "nats per token"),
    "train_loss": Label("mean training loss", "nats per token"),
    "final_loss": Label("last training loss", "nats per token"),
    "eval_loss": Label("held-out loss", "nats per token"),
    "perplexity": Label("perplexity", "per token"),
    "learning_rate": Label("learning rate"),
    "gradient_norm": Label("gradient norm"),
    "tokens_per_second": Label("throughput", "tokens/s"),
    "memory_bytes": Label("process memory", "GB", _GB),
    "gpu_memory_bytes": Label("GPU memory", "GB", _GB),
    "peak_memory_bytes": Label("peak process memory", "GB", _GB),
    "peak_gpu_memory_bytes": Label("peak GPU memory", "GB", _GB),
    "train_seconds": Label("time in training", "s"),
    "trainable_parameters": Label("parameters trained"),
    "total_parameters": Label("parameters in all"),
    "unmasked_token_share": Label("share of tokens that count for the loss"),
    "latency": Label("latency", "s per row"),
    "rows_per_second": Label("rows per second"),
}
"""Names of metrics and curves; of one that is not here, the name itself is what it is called."""


def label(name: str) -> str:
    """What a metric is called."""
    return LABELS[name].label if name in LABELS else name.replace("_", " ")


def said(name: str, value: float) -> str:
    """A value with its unit, where that is short."""
    known = LABELS.get(name, Label(name))
    unit = f" {known.unit}" if known.unit in ("GB", "s", "tokens/s") else ""
    return f"{number(value / known.scale)}{unit}"


def seconds(value: float) -> str:
    """A duration in words."""
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
