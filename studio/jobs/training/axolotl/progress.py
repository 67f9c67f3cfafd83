"""What Axolotl's processes report, as the job's own events, metrics and curve."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from studio.core.errors import JobError
from studio.jobs.events import EventLog
from studio.jobs.events import Progress as Told
from studio.jobs.training.losses import mean_by_step
from studio.jobs.training.posting import Post
from studio.jobs.training.progress import metrics

Number = Literal["loss", "learning_rate", "gradient_norm", "tokens_per_second", "memory_bytes", "gpu_memory_bytes"]
TOLD: tuple[tuple[Number, str], ...] = (
    ("loss", "loss"),
    ("learning_rate", "learning_rate"),
    ("gradient_norm", "grad_norm"),
    ("tokens_per_second", "tokens_per_second"),
    ("memory_bytes", "memory_bytes"),
    ("gpu_memory_bytes", "gpu_memory_bytes"),
)
"""Fields of an event, and what they are called in the report."""


@dataclass(slots=True)
class Progress:
    """Reads ``report`` as it grows. ``history`` is as the Trainer's, over all attempts."""

    report: Path
    events: EventLog
    post: Post
    began: dict[str, Any] = field(default_factory=dict)
    ended: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    lost: str = ""
    """The loss that was no number, and its step."""
    _read: int = 0
    _first_step: int = 0
    _started: float = field(default_factory=time.perf_counter)

    def look(self) -> None:
        """Whole lines that were added since the last look."""
        if self.report.exists():
            with self.report.open("rb") as stream:
                stream.seek(self._read)
                added = stream.read()
            whole = added[: added.rfind(b"\n") + 1]
            self._read += len(whole)
            for line in whole.splitlines():
                self._take(json.loads(line))

    def require(self, code: int, reason: str) -> None:
        """Raises JobError unless Axolotl trained to the end."""
        if self.lost:
            raise JobError(f"{self.lost}: training diverged", "lower learning_rate, or set max_grad_norm")
        if code:
            raise JobError(
                f"Axolotl failed (exit code {code}){': ' if reason else ''}{reason}", "the log has its words"
            )
        if not self.ended:
            raise JobError("Axolotl ended without having trained", "the log has its words")

    def _take(self, line: dict[str, Any]) -> None:
        step, total = int(line["step"]), int(line["total"])
        match line["what"]:
            case "began":
                self.began, self._first_step, self._started = line, step, time.perf_counter()
                self.history = [entry for entry in line["history"] if "step" in entry]
                for entry in self.history:
                    self.post.put(metrics(entry), int(entry["step"]))
                trained = f"{line['trainable']:,} of {line['parameters']:,} parameters are trained"
                self.events.write("setup", trained)
                share = line["unmasked"] / max(line["tokens"], 1)
                self.events.write("data", f"{line['tokens']} tokens, {share:.1%} of them count for the loss")
                self.events.write("train", step=step, total=total)
            case "logged":
                self._log(line["numbers"], step, total)
            case "diverged":
                weight = line.get("weight")
                what = f"{weight} holds values that are no numbers" if weight else f"the loss is {line['loss']}"
                self.lost = f"{what} at step {step}"
            case "ended":
                self.ended = line

    def _log(self, numbers: dict[str, float], step: int, total: int) -> None:
        self.history.append({**numbers, "step": step})
        self.post.put(metrics(numbers), step)
        if "loss" not in numbers:
            self.events.write("train", step=step, total=total, eval_loss=numbers["eval_loss"])
            return
        elapsed = time.perf_counter() - self._started
        told: Told = {
            "step": step,
            "total": total,
            "eta_seconds": elapsed / max(step - self._first_step, 1) * (total - step),
        }
        for name, logged in TOLD:
            if logged in numbers:
                told[name] = numbers[logged]
        self.events.write("train", **told)

    @property
    def losses(self) -> list[tuple[int, float]]:
        """Step and training loss of each log."""
        return [(int(entry["step"]), float(entry["loss"])) for entry in self.history if "loss" in entry]

    def measured(self) -> dict[str, float]:
        """What a training of the other framework measures too, under the same names."""
        losses = self.losses
        seconds, earlier = float(self.ended["seconds"]), float(self.began["earlier"])
        steps = int(self.ended["step"]) - self._first_step
        share = steps / max(int(self.ended["total"]), 1) * float(self.ended["epochs"])
        found = {
            "train_loss": mean_by_step(losses),
            "final_loss": losses[-1][1] if losses else math.nan,
            "train_seconds": seconds,
            "tokens_per_second": share * self.began["tokens"] / max(seconds - earlier, 1e-9),
            "trainable_parameters": float(self.began["trainable"]),
            "total_parameters": float(self.began["parameters"]),
            "unmasked_token_share": self.began["unmasked"] / max(self.began["tokens"], 1),
        }
        peaks = {name: float(value) for name, value in self.ended.items() if name.startswith("peak_")}
        loss = self.ended.get("held_out_loss")
        held_out = {} if loss is None else {"eval_loss": loss, "perplexity": math.exp(min(loss, 700.0))}
        return found | held_out | peaks
