"""FT: evaluations while training, and the end that they may bring."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from studio.core.findings import Path, Severity
from studio.core.schedule import schedule
from studio.core.splits import sizes
from studio.libraries.conflict import number
from studio.libraries.decided import to_stop_early
from studio.libraries.training_conflicts import best_model
from studio.resources.dataset import Dataset, DatasetFacts, DatasetType
from studio.resources.fine_tuning_job import DEFAULT_EPOCHS, FineTuningJob, Framework
from studio.rules import measures
from studio.rules.base import Breach, View, rule

ONE_FILE = frozenset({DatasetType.PROJECT_CSV, DatasetType.PROJECT_JSON, DatasetType.PROJECT_JSONL})
"""Types of data sets that hold no rows out by themselves."""


def _at(job: FineTuningJob, key: str) -> Path:
    """Where a training argument is written; a job that writes none is pointed at where it asks to stop early."""
    value = job.spec.training_arguments_config
    if isinstance(value, dict) and key in value:
        return ("spec", "training_arguments_config", key)
    return ("spec", "training_arguments_config" if value or not job.spec.early_stopping else "early_stopping")


def _in_force(job: FineTuningJob, view: View) -> Mapping[str, Any]:
    """The training arguments, with what early stopping adds to them."""
    given = measures.training_arguments(view, job) or {}
    return {**to_stop_early(given), **given} if job.spec.early_stopping else given


def _by_trl(job: FineTuningJob) -> bool:
    return job.spec.framework_type == Framework.LEGACY and not job.spec.user_script


@rule("FT-051", FineTuningJob)
def impossible_stopping(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """Early stopping has no patience, or counts what is worse as better.

    Of a single evaluation nobody can tell whether it is better than the one before: a patience of 1 ends a training
    after the first that is not.

    Bad:
        kind: FineTuningJob
        spec:
          early_stopping:
            patience: 0  # <-
    Good:
        kind: FineTuningJob
        spec:
          early_stopping:
            patience: 3
            min_delta: 0.01
    """
    wanted = job.spec.early_stopping
    if wanted and wanted.patience < 1:
        message = f"patience is {wanted.patience}; it must be at least 1"
        yield Breach("spec.early_stopping.patience", message, "write patience: 3, or remove early_stopping")
    if wanted and wanted.min_delta < 0:
        message = f"min_delta is {wanted.min_delta:g}; it must be at least 0"
        yield Breach("spec.early_stopping.min_delta", message, "write how far the loss must fall, such as 0.01")


@rule("FT-052", FineTuningJob)
def nothing_held_out(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """The job evaluates while training, and holds no rows out.

    The loss on rows that are trained on falls to the end, whatever the model learns. A ``train_test_split`` of 1.0 of
    a single file leaves no others.

    Bad:
        kind: FineTuningJob
        metadata:
          name: all-rows
        spec:
          adapter_name: all-rows
          train_test_split: 1.0  # <-
          early_stopping:
            patience: 3
    Good:
        kind: FineTuningJob
        metadata:
          name: all-rows
        spec:
          adapter_name: all-rows
          train_test_split: 0.9
          early_stopping:
            patience: 3
    """
    dataset = view.get(view.graph.target(job.ref, "spec", "dataset"), Dataset)
    if job.spec.train_test_split < 1 or dataset is None or dataset.spec.type not in ONE_FILE or not _by_trl(job):
        return
    if job.spec.early_stopping or _in_force(job, view).get("eval_strategy") in ("steps", "epoch"):
        what = "early_stopping" if job.spec.early_stopping else "eval_strategy"
        message = f"{what} needs held-out rows, and train_test_split is {job.spec.train_test_split:g}"
        yield Breach("spec.train_test_split", message, f"write train_test_split: 0.9, or remove {what}")


@rule("FT-053", FineTuningJob)
def stopping_without_evaluations(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """Early stopping does not go with how the job trains, evaluates or saves.

    It needs evaluations, and the best weights can only be kept where checkpoints fall on evaluations. Axolotl and user
    scripts evaluate in their own way.

    Bad:
        kind: FineTuningJob
        spec:
          early_stopping:
            patience: 3
          training_arguments_config:
            eval_strategy: "no"  # <-
    Good:
        kind: FineTuningJob
        spec:
          early_stopping:
            patience: 3
          training_arguments_config:
            eval_strategy: epoch
    """
    if not job.spec.early_stopping:
        return
    if not _by_trl(job):
        hint = "write early_stopping_patience in axolotl_config"
        script = bool(job.spec.user_script)
        what = "the user script trains in its own way" if script else "Axolotl has settings of its own for it"
        yield Breach("spec.early_stopping", what, "remove early_stopping" if script else f"remove it, and {hint}")
        return
    values = _in_force(job, view)
    if values.get("eval_strategy") == "no":
        message = "early_stopping needs evaluations while training, and eval_strategy is no"
        yield Breach(_at(job, "eval_strategy"), message, "remove eval_strategy: early_stopping brings one")
        return
    given = measures.training_arguments(view, job) or {}
    for conflict in () if "load_best_model_at_end" in given else best_model(values):  # else CF-013 reports it
        yield Breach(
            _at(job, "save_steps"), f"early_stopping keeps the best weights: {conflict.message}", conflict.hint
        )


@rule("FT-054", FineTuningJob, severity=Severity.WARNING)
def too_patient(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """The training is over before early stopping could end it.

    The first evaluation is the one to be bettered, so a patience of 3 needs at least 5 evaluations to save anything. An
    ``eval_steps`` beyond the last step means none at all; where rows are not counted here, the job says so before it
    begins.

    Bad:
        kind: FineTuningJob
        spec:
          num_epochs: 3
          early_stopping:
            patience: 3  # <-
          training_arguments_config:
            eval_strategy: epoch
    Good:
        kind: FineTuningJob
        spec:
          num_epochs: 20
          early_stopping:
            patience: 3
          training_arguments_config:
            eval_strategy: epoch
    """
    wanted = job.spec.early_stopping
    if wanted is None or not _by_trl(job):
        return
    times = _evaluations(job, _in_force(job, view), view)
    if times is not None and times <= wanted.patience + 1:
        counted = f"{times:g} evaluation{'s' if times != 1 else ''}" if times else "no evaluation at all"
        message = f"{counted} while training: a patience of {wanted.patience} is never tried"
        path: Path = ("spec", "early_stopping")
        at = (*path, "patience") if "patience" in wanted.model_fields_set else path
        yield Breach(at, message, "lower patience, or evaluate more often: eval_steps: 0.05 of the training arguments")


def _evaluations(job: FineTuningJob, values: Mapping[str, Any], view: View) -> float | None:
    """How often the job evaluates, at most; None where that depends on rows that are not counted here."""
    share = number(values.get("eval_steps"), 0)
    if values.get("eval_strategy") == "steps" and 0 < share < 1:
        return 1 / share
    if values.get("eval_strategy") == "steps" and share >= 1:
        steps = _steps(job, values, view)
        return None if steps is None else steps // share
    if values.get("eval_strategy") == "epoch" and number(values.get("max_steps"), -1) <= 0:
        return job.spec.num_epochs or number(values.get("num_train_epochs"), DEFAULT_EPOCHS)
    return None


def _steps(job: FineTuningJob, values: Mapping[str, Any], view: View) -> int | None:
    """How many steps the training takes; None where its rows are not counted here."""
    if (most := number(values.get("max_steps"), -1)) > 0:
        return int(most)
    facts, spec = view.facts(view.graph.target(job.ref, "spec", "dataset"), DatasetFacts), job.spec
    if facts is None or facts.rows is None or not (0 < spec.dataset_fraction <= 1 and 0 < spec.train_test_split <= 1):
        return None
    rows = sizes(facts.rows, spec.dataset_fraction, spec.train_test_split).train
    epochs = spec.num_epochs or number(values.get("num_train_epochs"), DEFAULT_EPOCHS)
    devices = spec.num_workers if spec.num_workers > 1 else max(1, spec.num_gpu)
    return schedule(rows, values, devices, epochs).steps
