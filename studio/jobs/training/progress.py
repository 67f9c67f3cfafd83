"""What a training run tells while it trains: events, metrics for MLflow, and when to save."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from studio.jobs import peaks, ranks
from studio.jobs.events import EventLog, Progress
from studio.jobs.training import anomalies, checkpoints, sharding
from studio.jobs.training.posting import Post

LOG_SECONDS, SAVE_SECONDS = 10.0, 60.0
"""Longest silence in events, and longest work lost to a kill."""
LOGGED = ("loss", "learning_rate", "grad_norm", "mean_token_accuracy", "eval_loss", "tokens_per_second", "memory_bytes",
          "gpu_memory_bytes")  # fmt: skip


@dataclass(slots=True)
class Clock:
    """Times of one attempt; ``earlier`` are the seconds trained by attempts before it."""

    earlier: float = 0.0
    started: float = field(default_factory=time.perf_counter)
    logged: float = field(default_factory=time.perf_counter)
    saved: float = field(default_factory=time.perf_counter)
    first_step: int = 0
    tokens: int = 0

    def trained(self) -> float:
        """Seconds of training, over all attempts."""
        return self.earlier + time.perf_counter() - self.started


class ProgressCallback(TrainerCallback):
    """Writes events and metrics, forces logs and checkpoints by time, and stops a training that went wrong."""

    def __init__(self, events: EventLog, post: Post, earlier: float = 0.0) -> None:
        self._events = events
        self._post = post
        self.clock = Clock(earlier)
        self.trained = earlier
        """Seconds of training over all attempts, once training has ended."""
        self.rate = 0.0
        """Tokens per second of this attempt, padding left out, once training has ended."""

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Start the clocks; what an earlier attempt logged belongs to this run's curve too."""
        self.clock = Clock(self.clock.earlier, first_step=state.global_step)
        for entry in state.log_history:
            self._post.put(metrics(entry), int(entry["step"]))
        self._events.write("train", step=state.global_step, total=state.max_steps)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Log and save at the latest after so many seconds; always log the last step."""
        now = time.perf_counter()
        if state.global_step >= state.max_steps or (ranks.world_size() == 1 and now - self.clock.logged > LOG_SECONDS):
            control.should_log = True
        if ranks.world_size() == 1 and now - self.clock.saved > SAVE_SECONDS and args.save_strategy != "no":
            control.should_save = True
        self._log_before_saving(control)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """What is saved or evaluated at the end of an epoch is logged there, too."""
        self._log_before_saving(control)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """One event per log. Raises JobError when the training went wrong: going on would waste the machine."""
        logs = logs or {}
        self._demand_health(args, state)
        if "loss" in logs:
            logs |= {"tokens_per_second": self._rate(logs), **peaks.now()}
            self._events.write("train", **self._progress(logs, state))
        elif "eval_loss" in logs:
            self.clock.logged += float(logs.get("eval_runtime", 0.0))  # no tokens were trained on meanwhile
            held_out = float(logs["eval_loss"])
            self._events.write("train", step=state.global_step, total=state.max_steps, eval_loss=held_out)
        self._post.put(metrics(logs), state.global_step)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Stop the clock."""
        self.trained = self.clock.trained()
        self.rate = self.clock.tokens / max(self.trained - self.clock.earlier, 1e-9)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Seal the checkpoint: only sealed ones are resumed from. Every rank has written its part by then."""
        self.clock.saved = time.perf_counter()
        anomalies.demand_finite(kwargs["model"], state.global_step)
        sharding.await_others()
        if ranks.is_main():
            folder = Path(str(args.output_dir), f"{checkpoints.PREFIX}{state.global_step}")
            checkpoints.seal(folder, self.clock.trained())

    def _log_before_saving(self, control: TrainerControl) -> None:
        """A log is the mean of the steps since the one before; a resumed run knows nothing of steps before its
        checkpoint. A loss that is no number is found, too, before anything is saved."""
        if control.should_save or control.should_evaluate:
            control.should_log = True

    def _demand_health(self, args: TrainingArguments, state: TrainerState) -> None:
        shuffled = str(getattr(args, "train_sampling_strategy", "random")) == "random"
        anomaly = anomalies.found(state.log_history, bool(args.fp16), shuffled)
        if anomaly:
            folder = Path(str(args.output_dir))
            kept = checkpoints.drop_after(folder, anomaly.good_step) if ranks.is_main() else None
            raise anomalies.error(anomaly, kept)

    def _rate(self, logs: dict[str, float]) -> float:
        """Tokens per second since the log before; trl counts tokens of this attempt under ``num_tokens``."""
        now, tokens = time.perf_counter(), int(logs.get("num_tokens", 0))
        rate = max(0, tokens - self.clock.tokens) / max(now - self.clock.logged, 1e-9)
        self.clock.logged, self.clock.tokens = now, tokens
        return rate

    def _progress(self, logs: dict[str, float], state: TrainerState) -> Progress:
        done = state.global_step - self.clock.first_step
        elapsed = time.perf_counter() - self.clock.started
        told = Progress(
            step=state.global_step,
            total=state.max_steps,
            loss=float(logs["loss"]),
            learning_rate=float(logs.get("learning_rate", 0.0)),
            tokens_per_second=logs["tokens_per_second"],
            memory_bytes=logs["memory_bytes"],
            eta_seconds=elapsed / max(done, 1) * (state.max_steps - state.global_step),
        )
        if "grad_norm" in logs:
            told["gradient_norm"] = float(logs["grad_norm"])
        if "gpu_memory_bytes" in logs:
            told["gpu_memory_bytes"] = logs["gpu_memory_bytes"]
        return told


def metrics(logs: Mapping[str, Any]) -> dict[str, float]:
    """Of what a trainer logs, the numbers that MLflow holds."""
    return {name: float(logs[name]) for name in LOGGED if name in logs}
