"""Conflicts in training arguments (``TrainingArguments._validate_args``, with the defaults that jobs put in force)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from studio.libraries.conflict import Conflict, Values, exclusive, idle_unless, number, on
from studio.libraries.decided import LOG_SHARE, SAVE_SHARE

STRATEGIES = {"eval": "no", "save": "steps", "logging": "steps"}
one_precision = exclusive(("fp16", "bf16"), ("fp16_full_eval", "bf16_full_eval"))


def _strategy(values: Values, what: str) -> Any:
    return values.get(f"{what}_strategy", STRATEGIES[what])


def best_model(values: Values) -> Iterator[Conflict]:
    """The best checkpoint can only be found among those that were evaluated."""
    key = "load_best_model_at_end"
    evaluated, saved = _strategy(values, "eval"), _strategy(values, "save")
    if not on(values.get(key)) or saved == "best":
        return
    if evaluated != saved:
        message = f"{key} needs eval_strategy and save_strategy to be the same, not {evaluated} and {saved}"
        hint = f"write eval_strategy: {saved}" if evaluated == "no" else f"write save_strategy: {evaluated}"
        yield Conflict(key, message, hint)
    elif saved == "steps":
        first = number(values.get("eval_steps"), 0) or number(values.get("logging_steps"), LOG_SHARE)
        then = number(values.get("save_steps"), SAVE_SHARE)
        if not _divides(first, then):
            message = f"{key} needs save_steps, {then:g}, to be a multiple of eval_steps, {first:g}"
            yield Conflict(key, message, f"write save_steps: {first:g} and eval_steps: {first:g}")


def _divides(first: float, then: float) -> bool:
    """Whether checkpoints fall on evaluations; shares of the run are compared to a millionth."""
    if first <= 0:
        return False
    if then % first == 0:
        return True
    return first < 1 and then < 1 and (then * 1_000_000) % (first * 1_000_000) == 0


def steps(values: Values) -> Iterator[Conflict]:
    """A step is a share of the run below 1 and a whole number above; zero would never come."""
    for what in STRATEGIES:
        key, found = f"{what}_steps", number(values.get(f"{what}_steps"), 1)
        if _strategy(values, what) != "steps":
            continue
        if found == 0 and what == "logging":
            yield Conflict(key, f"{key} is 0 with {what}_strategy: steps", f"write {key}: 10, or {what}_strategy: no")
        if found > 1 and found % 1:
            yield Conflict(key, f"{key} is {found:g}; above 1 it must be a whole number", f"write {key}: {int(found)}")


def needs_evaluation(values: Values) -> Iterator[Conflict]:
    schedule = values.get("lr_scheduler_type")
    if schedule in ("reduce_lr_on_plateau", "greedy") and _strategy(values, "eval") == "no":
        yield Conflict("lr_scheduler_type", f"{schedule} needs evaluation while training", "write eval_strategy: epoch")


def prefetch(values: Values) -> Iterator[Conflict]:
    key = "dataloader_prefetch_factor"
    if values.get(key) is not None and not on(values.get("dataloader_num_workers")):
        yield Conflict(
            key, f"{key} needs processes that load data", f"write dataloader_num_workers: 2, or remove {key}"
        )


def no_warm_up(values: Values) -> Iterator[Conflict]:
    if values.get("lr_scheduler_type") == "constant" and on(values.get("warmup_steps")):
        message = "warmup_steps has no effect: lr_scheduler_type is constant"
        yield Conflict("warmup_steps", message, "write lr_scheduler_type: constant_with_warmup, or remove warmup_steps")


def epochs_beside_steps(values: Values) -> Iterator[Conflict]:
    most = number(values.get("max_steps"), -1)
    if most > 0 and values.get("num_train_epochs") is not None:
        key = "num_train_epochs"
        yield Conflict(key, f"{key} has no effect: max_steps is {most:g}", f"remove one of {key} and max_steps")


CONTRADICTIONS = (one_precision, best_model, steps, needs_evaluation, prefetch)
IDLE = (
    no_warm_up,
    epochs_beside_steps,
    idle_unless("eval_strategy: steps", lambda values: _strategy(values, "eval") == "steps", "eval_steps"),
    idle_unless("save_strategy: steps", lambda values: _strategy(values, "save") == "steps", "save_steps"),
    idle_unless("logging_strategy: steps", lambda values: _strategy(values, "logging") == "steps", "logging_steps"),
    idle_unless(
        "packing: true", lambda values: on(values.get("packing")) or on(values.get("eval_packing")), "packing_strategy"
    ),
    idle_unless(
        "dataloader_num_workers: 2",
        lambda values: on(values.get("dataloader_num_workers")),
        "dataloader_persistent_workers",
    ),
)  # fmt: skip
