"""FT: what a sweep's matrix may hold."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core.suggest import did_you_mean, nearest
from studio.libraries.words import written
from studio.resources.base import effects
from studio.resources.fine_tuning_job import SWEPT, FineTuningJob, FineTuningJobSpec, can_be_swept, swept
from studio.resources.matrix import MOST, count, spelled, step
from studio.rules.base import Breach, View, rule

ONE_EACH = frozenset({"adapter_name", "out_dir", "matrix", "select"})
COMPARED = frozenset({
    "framework_type", "base_model", "dataset", "prompt", "loss", "dataset_fraction", "train_test_split",
})  # fmt: skip
"""Fields beside which losses of different trials would say different things."""


@rule("FT-042", FineTuningJob)
def empty_matrix(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """A matrix is empty, or lists no value of a field.

    A sweep has a trial for each combination of values, and of no value there is none. One that should train a single
    time needs no matrix: an environment can take it away with `matrix: null`.

    Bad:
        kind: FineTuningJob
        spec:
          matrix:
            learning_rate: []  # <-
    Good:
        kind: FineTuningJob
        spec:
          matrix:
            learning_rate: [1.0e-4, 2.0e-4]
    """
    matrix = job.spec.matrix
    if matrix == {} and not any(path[:2] == ("spec", "matrix") for path in view.manifests[job.ref].damaged):
        yield Breach(
            "spec.matrix", "the matrix is empty", "list values of a field, such as learning_rate, or remove it"
        )
    for key in sorted(matrix or {}):
        if not (matrix or {})[key]:
            yield Breach(("spec", "matrix", key), f"{key} lists no value", "list one at least, or remove it")


@rule("FT-043", FineTuningJob)
def unknown_matrix_key(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """A matrix names what is no field of a job.

    Its values would change nothing, and every trial would be the same training. Keys are fields of the job, or dotted
    paths into its configurations, such as `lora_config.r`.

    Bad:
        kind: FineTuningJob
        spec:
          matrix:
            learn_rate: [1.0e-4, 2.0e-4]  # <-
    Good:
        kind: FineTuningJob
        spec:
          matrix:
            learning_rate: [1.0e-4, 2.0e-4]
    """
    for key in sorted(job.spec.matrix or {}):
        name, *inner = step(key)
        if name not in effects(FineTuningJobSpec):
            meant = nearest(name, SWEPT)
            hint = f"did you mean {'.'.join((meant, *inner))!r}?" if meant else did_you_mean(name, SWEPT)
            message = f"a matrix cannot list values of {key!r}: a FineTuningJob has no field {name!r}"
            yield Breach(("spec", "matrix", key), message, hint, at_key=True)


@rule("FT-044", FineTuningJob)
def unswept_matrix_key(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """A matrix lists values of a field that trials must have in common.

    A sweep compares its trials by numbers such as the loss on held-out rows. These say something only of the same rows,
    the same texts and the same base model. Names and folders are each trial's own already, and what a job asks of its
    machine does not change what it learns.

    Bad:
        kind: FineTuningJob
        spec:
          matrix:
            train_test_split: [0.8, 0.9]  # <-
    Good:
        kind: FineTuningJob
        spec:
          train_test_split: 0.8
          matrix:
            num_epochs: [1, 2]
    """
    for key in sorted(job.spec.matrix or {}):
        name, *inner = step(key)
        if name not in effects(FineTuningJobSpec) or can_be_swept(key):
            continue
        hint = f"a matrix may list values of {', '.join(SWEPT)}"
        if name in SWEPT and inner:
            lacking = "is no configuration" if all(inner) else "has no key without a name"
            message = f"{key!r} leads nowhere: {name} {lacking}"
        elif name in COMPARED:
            message = f"trials with different values of {name} cannot be compared"
            hint = "write a job for each, and compare them in an EvaluationJob"
        elif name == "early_stopping":
            message = (
                "a matrix cannot list values of early_stopping: it says when a trial ends, and is the same for all"
            )
            hint = "write one early_stopping for the job; every trial stops by it on its own"
        elif name in ONE_EACH:
            message = f"a matrix cannot list values of {name}: the sweep has one"
        else:
            message = f"a matrix cannot list values of {name}: it does not change what is learnt"
        yield Breach(("spec", "matrix", key), message, hint, at_key=True)


@rule("FT-045", FineTuningJob)
def repeated_value(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """A matrix lists the same value twice.

    Both would be the same trial. As a rule one of them is a slip of the pen, and another value is missing.

    Bad:
        kind: FineTuningJob
        spec:
          matrix:
            learning_rate: [1.0e-4, 0.0001]  # <-
    Good:
        kind: FineTuningJob
        spec:
          matrix:
            learning_rate: [1.0e-4, 1.0e-3]
    """
    for key, values in sorted((job.spec.matrix or {}).items()):
        seen: set[str] = set()
        for place, value in enumerate(values):
            if (name := spelled(value)) in seen:
                message = f"the value {written(value)} of {key} is listed twice"
                yield Breach(("spec", "matrix", key, place), message, "remove it, or write the value that was meant")
            seen.add(name)


@rule("FT-046", FineTuningJob)
def too_many_trials(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """A sweep has more than 64 trials.

    Every combination is a training with the resources of the job. Lists multiply: three values of each of four fields
    are 81 trainings.

    Bad:
        kind: FineTuningJob
        spec:
          matrix:  # <-
            learning_rate: [1.0e-4, 2.0e-4, 3.0e-4]
            num_epochs: [1, 2, 3]
            lora_config.r: [8, 16, 32]
            lora_config.lora_alpha: [16, 32, 64]
    Good:
        kind: FineTuningJob
        spec:
          matrix:
            learning_rate: [1.0e-4, 2.0e-4, 3.0e-4]
            lora_config.r: [8, 16, 32]
    """
    number = count(swept(job))
    if number > MOST:
        hint = "list fewer values, or sweep one field after the other"
        yield Breach(
            "spec.matrix", f"the matrix has {number:,} combinations; at most {MOST} are tried", hint, at_key=True
        )
