"""Evaluations while training: the best weights are kept, and training ends when nothing became better for long enough.

All of it follows from the losses that the trainer logged, and every checkpoint holds these: a resumed run goes on
counting where the killed one was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from studio.core.jobresult import EarlyStop
from studio.core.jobspec import EarlyStopping
from studio.jobs.events import EventLog
from studio.jobs.training.checkpoints import PREFIX


@dataclass(frozen=True, slots=True)
class Course:
    """The evaluations so far. ``loss`` of ``step`` is the last that counted as better than all before it; ``waited``
    evaluations came since; ``is_best`` when no loss was lower than the newest."""

    step: int
    loss: float
    waited: int
    is_best: bool


def course(history: Iterable[Mapping[str, Any]], min_delta: float = 0.0) -> Course | None:
    """What the held-out losses of a trainer's history come to; None before the first. Lower counts as better when it is
    so by more than ``min_delta``; the weights before the first step have no checkpoint, and do not count."""
    losses = [(entry["step"], entry["eval_loss"]) for entry in history if "eval_loss" in entry and entry["step"] > 0]
    if not losses:
        return None
    (step, reference), waited = losses[0], 0
    for later, loss in losses[1:]:
        waited += 1
        if loss < reference - min_delta:
            step, reference, waited = later, loss, 0
    return Course(step, reference, waited, all(losses[-1][1] < loss for _, loss in losses[:-1]))


class EvaluationCallback(TrainerCallback):
    """Has every best evaluation saved, and stops early. Nothing is left to do in a run that is resumed at its end."""

    def __init__(self, stopping: EarlyStopping | None, events: EventLog) -> None:
        self._stopping = stopping
        self._events = events
        self.stopped: EarlyStop | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """A checkpoint that an earlier attempt left may be of its last step; the trainer would take one more. The best
        one is where the checkpoints are now: the project may have been moved."""
        best = Path(str(args.output_dir), f"{PREFIX}{state.best_global_step}")
        if state.best_model_checkpoint is None and best.is_dir():
            state.best_model_checkpoint = str(best)
        if state.global_step >= state.max_steps > 0:
            control.should_training_stop = True
        if self._stopping and args.eval_strategy == "steps" and state.eval_steps > state.max_steps:
            words = f"early stopping does nothing: eval_steps is {state.eval_steps}, and the last step is"
            self._events.write("train", f"{words} {state.max_steps}")
        self._judge(state, control)

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """The trainer compares all evaluations, but finds the best again only where it saved."""
        found = course(state.log_history)
        if args.load_best_model_at_end and found and found.is_best:
            control.should_save = True
        self._judge(state, control)

    def _judge(self, state: TrainerState, control: TrainerControl) -> None:
        wanted = self._stopping
        found = course(state.log_history, wanted.min_delta) if wanted else None
        if wanted is None or found is None or found.waited < wanted.patience:
            return
        control.should_training_stop = control.should_save = True
        self.stopped = EarlyStop(
            step=state.global_step,
            steps=state.max_steps,
            best=found.loss,
            best_step=found.step,
            patience=wanted.patience,
            min_delta=wanted.min_delta,
        )


def best_step(state: TrainerState) -> int | None:
    """The step whose weights the trainer loaded at the end; None when it kept the last ones."""
    return int(Path(state.best_model_checkpoint).name.removeprefix(PREFIX)) if state.best_model_checkpoint else None
