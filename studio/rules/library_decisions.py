"""CF: settings that the jobs of this system decide themselves."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core.findings import Severity
from studio.libraries.decided import IGNORED, REFUSED, applying
from studio.libraries.fitting import Fault
from studio.load.trials import origin
from studio.resources.fine_tuning_job import FineTuningJob, Trial
from studio.rules.base import Breach, View, rule
from studio.rules.library_breach import breach

FIELDS = (
    ("num_epochs", "training_arguments_config", "num_train_epochs"),
    ("learning_rate", "training_arguments_config", "learning_rate"),
    ("num_epochs", "axolotl_config", "num_epochs"),
    ("learning_rate", "axolotl_config", "learning_rate"),
)
"""Fields of a job, and the keys of its configurations that they replace."""


@rule("CF-015", severity=Severity.WARNING)
def ignored_setting(view: View) -> Iterator[Breach]:
    """The job decides this setting itself; what the configuration says does not count.

    Outputs go to the run's folder, runs are logged to MLflow, tokens come from the tokenizer: otherwise the same
    manifest would not give the same result everywhere.

    Bad:
        kind: FineTuningJob
        spec:
          training_arguments_config:
            output_dir: /tmp/out  # <-
    Good:
        kind: FineTuningJob
        spec:
          training_arguments_config:
            logging_steps: 10
    """
    for each in view.configurations:
        for key, why in applying(IGNORED, each.type, each.values).items():
            yield breach(each, (key,), f"{key} is ignored: {why}", f"remove {key}")


@rule("CF-016")
def refused_setting(view: View) -> Iterator[Breach]:
    """A job with this setting is refused, or would fail.

    Publishing goes through an export, with its gates; a token in a manifest is in the history for ever.

    Bad:
        kind: FineTuningJob
        spec:
          training_arguments_config:
            push_to_hub: true  # <-
    Good:
        kind: FineTuningJob
        spec:
          training_arguments_config:
            push_to_hub: false
    """
    for each in view.configurations:
        unknown = {misfit.path for misfit in each.misfits if misfit.fault is Fault.NOT_TAKEN}  # CF-011 reports these
        for key, why in applying(REFUSED, each.type, each.values).items():
            if (key,) in unknown:
                continue
            yield breach(each, (key,), f"{key} is refused: {why}", f"remove {key}")


@rule("CF-017", FineTuningJob, severity=Severity.WARNING)
def said_twice(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """The job says this itself, and its own training arguments or Axolotl configuration say something else.

    The fields of the job win, so that a shared Config can serve jobs of different length. Within one job there is no
    reason for two answers.

    Bad:
        kind: FineTuningJob
        spec:
          num_epochs: 2
          training_arguments_config:
            num_train_epochs: 5  # <-
    Good:
        kind: FineTuningJob
        spec:
          num_epochs: 2
          training_arguments_config:
            logging_steps: 10
    """
    for name, field, key in FIELDS:
        config = getattr(job.spec, field)
        said, again = getattr(job.spec, name), config.get(key) if isinstance(config, dict) else None
        if said is not None and again is not None and said != again:
            message = f"{key} is ignored: {name} of the job is {said:g}"
            yield Breach(("spec", field, key), message, f"remove one of {_at(job, name)} and {_at(job, field, key)}")


def _at(job: FineTuningJob, *path: str) -> str:
    """Where a setting is written, in words: of a trial it may be in the matrix of its sweep."""
    written = origin(job.places, ("spec", *path)) if isinstance(job, Trial) else ("spec", *path)
    return ".".join(str(step) for step in written if isinstance(step, str))
