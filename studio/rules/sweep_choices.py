"""FT: how a sweep chooses among its trials."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core.references import Ref
from studio.core.suggest import did_you_mean
from studio.resources.dataset import Dataset, DatasetType
from studio.resources.fine_tuning_job import FineTuningJob
from studio.resources.matrix import HELD_OUT, HIGHER, LOWER, METRICS, Select
from studio.rules.base import Breach, View, rule

FILES = frozenset({DatasetType.PROJECT_CSV, DatasetType.PROJECT_JSON, DatasetType.PROJECT_JSONL})


@rule("FT-047", FineTuningJob)
def select_without_matrix(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """A job without a matrix says how to choose among trials.

    It trains once, and there is nothing to choose from: the matrix was forgotten, or select is a leftover.

    Bad:
        kind: FineTuningJob
        spec:
          select: {metric: eval_loss}  # <-
    Good:
        kind: FineTuningJob
        spec:
          matrix:
            learning_rate: [1.0e-4, 2.0e-4]
          select: {metric: eval_loss}
    """
    if job.spec.select is not None and job.spec.matrix is None:
        yield Breach(
            "spec.select", "select is given, and there is no matrix", "add spec.matrix, or remove select", at_key=True
        )


@rule("FT-048", FineTuningJob)
def unreported_metric(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """A sweep chooses by a metric that its trials do not report.

    It would find that out after the last training. A script of your own reports what it likes; every other training
    reports the metrics that `studio show` lists of it, and those of held-out rows only where rows are held out.

    Bad:
        kind: FineTuningJob
        spec:
          matrix:
            learning_rate: [1.0e-4, 2.0e-4]
          select: {metric: evaluation_loss}  # <-
    Good:
        kind: FineTuningJob
        spec:
          matrix:
            learning_rate: [1.0e-4, 2.0e-4]
          select: {metric: eval_loss}
    """
    choice = job.spec.select or Select()
    if not job.is_sweep or _has_script(job):
        return
    path = "spec.select.metric" if job.spec.select else "spec.matrix"
    if choice.metric not in METRICS:
        yield Breach(path, f"no training reports the metric {choice.metric!r}", did_you_mean(choice.metric, METRICS))
    elif choice.metric in HELD_OUT and job.spec.train_test_split == 1 and _is_one_file(job, view):
        message = f"the sweep chooses by {choice.metric}, and train_test_split: 1 holds out no row"
        hint = "lower train_test_split, or write select: {metric: train_loss}"
        yield Breach(path, message, hint, at_key=not job.spec.select)


@rule("FT-049", FineTuningJob)
def unknown_mode(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """It is not known whether the lowest or the highest number is the best.

    The mode is min or max. Of the metrics that studio's own trainings report it is known; of those that a script of
    your own reports it must be said, because the worst trial would win otherwise.

    Bad:
        kind: FineTuningJob
        spec:
          matrix:
            learning_rate: [1.0e-4, 2.0e-4]
          select: {metric: eval_loss, mode: lowest}  # <-
    Good:
        kind: FineTuningJob
        spec:
          matrix:
            learning_rate: [1.0e-4, 2.0e-4]
          select: {metric: eval_loss, mode: min}
    """
    choice = job.spec.select
    if choice is None:
        return
    if choice.mode and choice.mode not in (LOWER, HIGHER):
        message = f"mode is {choice.mode!r}; it must be min or max"
        yield Breach("spec.select.mode", message, did_you_mean(choice.mode, (LOWER, HIGHER)))
    elif not choice.mode and choice.metric not in METRICS and _has_script(job):
        message = f"it is not known which end of {choice.metric!r} is better"
        yield Breach("spec.select", message, "add mode: min or mode: max", at_key=True)


def _has_script(job: FineTuningJob) -> bool:
    return bool(job.spec.user_script) or "user_script" in (job.spec.matrix or {})


def _is_one_file(job: FineTuningJob, view: View) -> bool:
    """Whether the rows are in a file, which has no split of its own."""
    dataset = view.get(Ref("Dataset", job.spec.dataset), Dataset)
    return dataset is not None and dataset.spec.type in FILES
