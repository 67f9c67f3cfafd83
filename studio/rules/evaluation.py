"""EV: what an evaluation is and refers to (guide, Evaluation Job Validation)."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core.enumerations import members
from studio.core.metric_names import EVALUATION_METRICS
from studio.core.suggest import did_you_mean
from studio.resources.evaluation_job import EvaluationJob, EvaluationType
from studio.rules.base import Breach, View, rule


@rule("EV-002", EvaluationJob)
def no_dataset(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """The evaluation names no data set.

    Bad:
        kind: EvaluationJob
        spec:
          dataset: ""  # <-
    Good:
        kind: EvaluationJob
        spec:
          dataset: tickets
    """
    if not job.spec.dataset:
        yield Breach("spec.dataset", "dataset is missing", did_you_mean("", view.graph.names("Dataset")))


@rule("EV-003", EvaluationJob)
def no_prompt(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """The evaluation names no prompt.

    Without one there is no question to ask, and no answer to compare with.

    Bad:
        kind: EvaluationJob
        spec:
          prompt: ""  # <-
    Good:
        kind: EvaluationJob
        spec:
          prompt: route-ticket
    """
    if not job.spec.prompt:
        yield Breach("spec.prompt", "prompt is missing", did_you_mean("", view.graph.names("Prompt")))


@rule("EV-004", EvaluationJob)
def no_resources(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """CPU, GPU or memory are not given, or are too small to run on.

    A backend places a job by these numbers; zero GPUs is fine, no CPU or memory is not.

    Bad:
        kind: EvaluationJob
        spec:
          num_memory: 0  # <-
    Good:
        kind: EvaluationJob
        spec:
          num_memory: 4
    """
    spec = job.spec
    for name, value, least in (
        ("num_cpu", spec.num_cpu, 1),
        ("num_gpu", spec.num_gpu, 0),
        ("num_memory", spec.num_memory, 1),
    ):
        if value is None:
            yield Breach(f"spec.{name}", f"{name} is missing", f"write {name}: {least}, or more")
        elif value < least:
            yield Breach(f"spec.{name}", f"{name} is {value}; it must be at least {least}", f"write {name}: {least}")


@rule("EV-007", EvaluationJob)
def unknown_dataset(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """No Dataset has the name that the evaluation gives.

    Bad:
        kind: EvaluationJob
        spec:
          dataset: tikets  # <-
    Good:
        kind: EvaluationJob
        spec:
          dataset: tickets
    """
    name = job.spec.dataset
    if name and view.graph.target(job.ref, "spec", "dataset") is None:
        hint = did_you_mean(name, view.graph.names("Dataset"))
        yield Breach("spec.dataset", f"no Dataset is named {name!r}", hint)


@rule("EV-008", EvaluationJob)
def unknown_prompt(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """No Prompt has the name that the evaluation gives.

    Bad:
        kind: EvaluationJob
        spec:
          prompt: routeticket  # <-
    Good:
        kind: EvaluationJob
        spec:
          prompt: route-ticket
    """
    name = job.spec.prompt
    if name and view.graph.target(job.ref, "spec", "prompt") is None:
        yield Breach("spec.prompt", f"no Prompt is named {name!r}", did_you_mean(name, view.graph.names("Prompt")))


@rule("EV-009", EvaluationJob)
def unknown_metric(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """A metric is not one that the evaluation can compute.

    Bad:
        kind: EvaluationJob
        spec:
          metrics:
            - exact_match
            - rougeN  # <-
    Good:
        kind: EvaluationJob
        spec:
          metrics:
            - exact_match
            - rougeL
    """
    for index, metric in enumerate(job.spec.metrics):
        if metric not in EVALUATION_METRICS:
            hint = did_you_mean(metric, EVALUATION_METRICS)
            yield Breach(f"spec.metrics.{index}", f"the metric {metric!r} is unknown", hint)


@rule("EV-018", EvaluationJob)
def unknown_type(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """The type of the evaluation is unknown.

    Bad:
        kind: EvaluationJob
        spec:
          type: mlfow  # <-
    Good:
        kind: EvaluationJob
        spec:
          type: mlflow
    """
    if job.spec.type not in members(EvaluationType):
        message = f"type is {job.spec.type!r}; it must be mlflow"
        yield Breach("spec.type", message, did_you_mean(job.spec.type, EvaluationType))


@rule("EV-023", EvaluationJob)
def bad_gpu_label(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """The accelerator label is negative.

    Labels are counted from zero.

    Bad:
        kind: EvaluationJob
        spec:
          gpu_label_id: -1  # <-
    Good:
        kind: EvaluationJob
        spec:
          gpu_label_id: 0
    """
    label = job.spec.gpu_label_id
    if label is not None and label < 0:
        message = f"gpu_label_id is {label}; it must be at least 0"
        yield Breach("spec.gpu_label_id", message, "write the label's id, or remove gpu_label_id")
