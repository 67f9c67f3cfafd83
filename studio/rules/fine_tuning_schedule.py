"""FT: how long, how fast and on which rows a job trains."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core.findings import Severity
from studio.core.splits import sampled, sizes
from studio.resources.dataset import DatasetFacts
from studio.resources.fine_tuning_job import FineTuningJob
from studio.rules.base import Breach, View, rule

MOST_TRAINED, FEWEST_HELD_OUT = 0.95, 10
"""Shares of training above the one, which is more than anybody needs, are asked whether the other is held out."""
MOST_EPOCHS = 1_000_000
"""No training passes over its rows more often; a greater number is a slip of the pen."""
MOST_RATE = 100
"""Optimizers that scale the rate themselves are given 1; a rate beyond a hundred is an exponent gone wrong."""


@rule("FT-008", FineTuningJob)
def bad_epochs(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """The number of epochs is not positive, or is beyond a million.

    Nothing is learnt from zero passes over the rows, and a job of a million passes never ends. Left out, the training
    arguments decide.

    Bad:
        kind: FineTuningJob
        spec:
          num_epochs: 0  # <-
    Good:
        kind: FineTuningJob
        spec:
          num_epochs: 2
    """
    epochs = job.spec.num_epochs
    if epochs is not None and epochs <= 0:
        message = f"num_epochs is {epochs:g}; it must be greater than 0"
        yield Breach("spec.num_epochs", message, "write num_epochs: 1, or remove it")
    elif epochs is not None and epochs > MOST_EPOCHS:
        message = f"num_epochs is {epochs:g}; it must be at most {MOST_EPOCHS:,}"
        yield Breach("spec.num_epochs", message, "write how often the job passes over the rows, such as num_epochs: 3")


@rule("FT-009", FineTuningJob)
def no_learning_rate(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """The learning rate is not positive, or is beyond a hundred.

    At zero no weight moves; below it the model unlearns; far above it no weight survives the first step. Left out, the
    training arguments decide.

    Bad:
        kind: FineTuningJob
        spec:
          learning_rate: 0.0  # <-
    Good:
        kind: FineTuningJob
        spec:
          learning_rate: 2.0e-4
    """
    rate = job.spec.learning_rate
    if rate is not None and rate <= 0:
        message = f"learning_rate is {rate:g}; it must be greater than 0"
        yield Breach("spec.learning_rate", message, "write learning_rate: 2.0e-4, or remove it")
    elif rate is not None and rate > MOST_RATE:
        message = f"learning_rate is {rate:g}; it must be at most {MOST_RATE}"
        yield Breach("spec.learning_rate", message, "write a small number, such as learning_rate: 2.0e-4")


@rule("FT-010", FineTuningJob)
def bad_dataset_fraction(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """The share of the rows to use is not in (0, 1].

    Bad:
        kind: FineTuningJob
        spec:
          dataset_fraction: 1.5  # <-
    Good:
        kind: FineTuningJob
        spec:
          dataset_fraction: 0.5
    """
    fraction = job.spec.dataset_fraction
    if not 0 < fraction <= 1:
        message = f"dataset_fraction is {fraction:g}; it must be greater than 0 and at most 1"
        yield Breach("spec.dataset_fraction", message, _as_share(fraction, "1.0 uses every row"))


@rule("FT-011", FineTuningJob)
def bad_train_test_split(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """The share of the rows to train on is not in (0, 1].

    Bad:
        kind: FineTuningJob
        spec:
          train_test_split: 90.0  # <-
    Good:
        kind: FineTuningJob
        spec:
          train_test_split: 0.9
    """
    share = job.spec.train_test_split
    if not 0 < share <= 1:
        message = f"train_test_split is {share:g}; it must be greater than 0 and at most 1"
        yield Breach("spec.train_test_split", message, _as_share(share, "1.0 trains on every row"))


def _as_share(value: float, otherwise: str) -> str:
    """A hint for a number that looks like a percentage, else what the limit means."""
    return f"for {value:g} % write {value / 100:g}" if 2 <= value <= 100 else otherwise


@rule("FT-019", FineTuningJob)
def too_few_rows(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """The data set is too small: after sampling and splitting, one side has no row.

    Numbers of rows are rounded down, as the training script does. A ``train_test_split`` of 1.0 holds nothing out, so
    it needs no second side.

    Bad:
        kind: FineTuningJob
        spec:
          dataset_fraction: 0.01  # <-
    Good:
        kind: FineTuningJob
        spec:
          dataset_fraction: 0.5
    """
    spec = job.spec
    facts = view.facts(view.graph.target(job.ref, "spec", "dataset"), DatasetFacts)
    in_range = 0 < spec.dataset_fraction <= 1 and 0 < spec.train_test_split <= 1
    if facts is None or facts.rows is None or not in_range:
        return
    kept = sampled(facts.rows, spec.dataset_fraction)
    if not kept:
        message = f"a share of {spec.dataset_fraction:g} of {facts.rows} rows is less than one row"
        yield Breach("spec.dataset_fraction", message, "use a larger share, or more rows")
        return
    parts = sizes(facts.rows, spec.dataset_fraction, spec.train_test_split)
    if not parts.train or (not parts.held_out and spec.train_test_split < 1):
        lost = "train on" if not parts.train else "hold out"
        message = f"train_test_split {spec.train_test_split:g} of {kept} rows leaves none to {lost}"
        yield Breach("spec.train_test_split", message, "add rows, or change the share; 1.0 holds nothing out")


@rule("FT-065", FineTuningJob, severity=Severity.WARNING)
def hardly_a_row_held_out(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """A share so small is held out that it comes to a few rows.

    The loss on fewer than ten rows says more of these rows than of the model. Rows are counted where the data set is a
    file of the project.

    Bad:
        kind: FineTuningJob
        spec:
          train_test_split: 0.97  # <-
    Good:
        kind: FineTuningJob
        spec:
          train_test_split: 0.9
    """
    spec = job.spec
    facts = view.facts(view.graph.target(job.ref, "spec", "dataset"), DatasetFacts)
    in_range = 0 < spec.dataset_fraction <= 1 and MOST_TRAINED < spec.train_test_split < 1
    if facts is None or facts.rows is None or not in_range:
        return
    parts = sizes(facts.rows, spec.dataset_fraction, spec.train_test_split)
    if parts.train and 0 < parts.held_out < FEWEST_HELD_OUT:
        rows = "1 row" if parts.held_out == 1 else f"{parts.held_out} rows"
        message = f"train_test_split {spec.train_test_split:g} of {facts.rows:,} rows holds out {rows}"
        yield Breach("spec.train_test_split", message, "write train_test_split: 0.9, or 1.0 to hold nothing out")


@rule("FT-068", FineTuningJob)
def more_workers_than_rows(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """There are more training workers than rows to train on.

    Workers share the rows of each step among them; one that gets none has nothing to compute, and the machine waits
    for it all the same. Rows are counted where the data set is a file of the project.

    Bad:
        kind: FineTuningJob
        spec:
          num_workers: 1000000  # <-
    Good:
        kind: FineTuningJob
        spec:
          num_workers: 2
    """
    spec = job.spec
    facts = view.facts(view.graph.target(job.ref, "spec", "dataset"), DatasetFacts)
    in_range = 0 < spec.dataset_fraction <= 1 and 0 < spec.train_test_split <= 1
    if facts is None or facts.rows is None or not in_range:
        return
    rows = sizes(facts.rows, spec.dataset_fraction, spec.train_test_split).train
    if 0 < rows < spec.num_workers:
        message = f"num_workers is {spec.num_workers:,}; the rows to train on are {rows:,}"
        yield Breach("spec.num_workers", message, "write num_workers: 1, or as many as there are machines to train on")
