"""FT: how a sweep chooses among its trials."""

from __future__ import annotations

import re
from collections.abc import Iterator

from studio.core.findings import Severity
from studio.core.metric_names import HIGHER_IS_BETTER
from studio.core.references import Ref
from studio.core.suggest import did_you_mean
from studio.resources.dataset import Dataset, DatasetType
from studio.resources.fine_tuning_job import FineTuningJob
from studio.resources.matrix import HELD_OUT, HIGHER, LOWER, METRICS, Select
from studio.rules.base import Breach, View, rule

LOW_WORDS = frozenset({"loss", "perplexity", "ppl", "error", "wer", "cer", "nll", "seconds", "latency"})
HIGH_WORDS = frozenset({"accuracy", "acc", "f1", "bleu", "precision", "recall", "reward", "match", "auc"})
"""Words in names of metrics, by the end that is better."""
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


@rule("FT-064", FineTuningJob, severity=Severity.WARNING)
def worst_trial_wins(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """A sweep takes the trial with the highest loss, or the one with the lowest score.

    It would be the worst of all, and its adapter the sweep's. Of its own metrics studio knows which end is better; of
    those of a script the name tells: a loss, a perplexity or an error should be low, an accuracy, an F1 or a reward
    high.

    Bad:
        kind: FineTuningJob
        spec:
          matrix:
            learning_rate: [1.0e-4, 2.0e-4]
          select: {metric: eval_loss, mode: max}  # <-
    Good:
        kind: FineTuningJob
        spec:
          matrix:
            learning_rate: [1.0e-4, 2.0e-4]
          select: {metric: eval_loss, mode: min}
    """
    choice = job.spec.select
    better = _better(choice.metric) if choice else None
    if choice and better and choice.mode in (LOWER, HIGHER) and choice.mode != better:
        worst = "highest" if choice.mode == HIGHER else "lowest"
        known = choice.metric in METRICS and not _has_script(job)
        message = f"the trial with the {worst} {choice.metric} wins, which {'is' if known else 'seems to be'} the worst"
        yield Breach("spec.select.mode", message, f"write mode: {better}")


def _better(metric: str) -> str | None:
    """Which end of a metric is better, by what studio knows, else by the words of its name; None where these say
    nothing, or both."""
    if metric in METRICS:
        return METRICS[metric]
    if metric in HIGHER_IS_BETTER:
        return HIGHER if HIGHER_IS_BETTER[metric] else LOWER
    words = set(re.split(r"[^a-z0-9]+", metric.lower()))
    low, high = bool(words & LOW_WORDS), bool(words & HIGH_WORDS)
    return None if low is high else LOWER if low else HIGHER


def _has_script(job: FineTuningJob) -> bool:
    return bool(job.spec.user_script) or "user_script" in (job.spec.matrix or {})


def _is_one_file(job: FineTuningJob, view: View) -> bool:
    """Whether the rows are in a file, which has no split of its own."""
    dataset = view.get(Ref("Dataset", job.spec.dataset), Dataset)
    return dataset is not None and dataset.spec.type in FILES
