"""EV: the rows of an evaluation: how many are left, and which columns they have."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core.findings import Severity
from studio.core.metric_names import MOST_SLICES, OF_ROWS
from studio.core.splits import sampled, unseen
from studio.core.suggest import did_you_mean
from studio.core.templates import TemplateError, parse
from studio.graph import producer
from studio.resources.dataset import EXTENSIONS, Dataset, DatasetFacts
from studio.resources.evaluation_job import EvaluationJob
from studio.resources.fine_tuning_job import FineTuningJob
from studio.resources.prompt import Prompt, PromptFacts
from studio.rules.base import Breach, View, rule
from studio.rules.measures import profile


@rule("EV-017", EvaluationJob)
def bad_dataset_fraction(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """The share of the rows to evaluate on is not in (0, 1].

    Bad:
        kind: EvaluationJob
        spec:
          eval_dataset_fraction: 0.0  # <-
    Good:
        kind: EvaluationJob
        spec:
          eval_dataset_fraction: 0.5
    """
    fraction = job.spec.eval_dataset_fraction
    if not 0 < fraction <= 1:
        message = f"eval_dataset_fraction is {fraction:g}; it must be greater than 0 and at most 1"
        yield Breach("spec.eval_dataset_fraction", message, "1.0 evaluates on every row that training did not see")


def _trainings(job: EvaluationJob, view: View) -> Iterator[FineTuningJob]:
    """The jobs of this project that produce the evaluated adapters."""
    for index in range(len(job.spec.model_adapter_combinations)):
        adapter = view.graph.target(job.ref, "spec", "model_adapter_combinations", index, "adapter")
        training = view.get(producer(view.graph, adapter), FineTuningJob) if adapter else None
        if training:
            yield training


def _digest(view: View, job: EvaluationJob | FineTuningJob) -> str:
    """The content of a job's data set, "" when it is not a file of the project.

    Folders and hub data sets may bring a held-out split of their own; files never do.
    """
    ref = view.graph.target(job.ref, "spec", "dataset")
    dataset, facts = view.get(ref, Dataset), view.facts(ref, DatasetFacts)
    return str(facts.digest) if dataset and facts and dataset.spec.type in EXTENSIONS else ""


@rule("EV-019", EvaluationJob)
def no_unseen_row(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """Training saw every row of the data set: none is left to evaluate on.

    Rows that an evaluated adapter was trained on are left out, because answers learnt by heart prove nothing.

    Bad:
        kind: EvaluationJob
        spec:
          dataset: tickets  # <-
        ---
        kind: FineTuningJob
        spec:
          train_test_split: 1.0
    Good:
        kind: EvaluationJob
        spec:
          dataset: tickets
        ---
        kind: FineTuningJob
        spec:
          train_test_split: 0.9
    """
    for training in _trainings(job, view):
        if not training.spec.dataset_fraction == 1 == training.spec.train_test_split:
            continue
        digest = _digest(view, job)
        if digest and digest == _digest(view, training):
            message = f"{training.ref} trains on every row of {job.spec.dataset!r}: none is left to evaluate on"
            hint = f"lower train_test_split of {training.ref}, or evaluate on other rows"
            yield Breach("spec.dataset", message, hint)
            return


@rule("EV-022", EvaluationJob)
def too_few_rows(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """The share of the rows to evaluate on is less than one row.

    It is taken of the rows that training did not see, and rounded down.

    Bad:
        kind: EvaluationJob
        spec:
          eval_dataset_fraction: 0.01  # <-
    Good:
        kind: EvaluationJob
        spec:
          eval_dataset_fraction: 1.0
    """
    fraction = job.spec.eval_dataset_fraction
    digest = _digest(view, job) if 0 < fraction < 1 else ""
    facts = view.facts(view.graph.target(job.ref, "spec", "dataset"), DatasetFacts)
    if not digest or facts.rows is None:
        return
    trainings = [training.spec for training in _trainings(job, view) if _digest(view, training) == digest]
    splits = [(spec.dataset_fraction, spec.train_test_split) for spec in trainings]
    left = unseen(facts.rows, (split for split in splits if all(0 < share <= 1 for share in split)))
    if left > 0 and not sampled(left, fraction):
        message = f"a share of {fraction:g} of {left} rows that training did not see is less than one row"
        yield Breach("spec.eval_dataset_fraction", message, "use a larger share, or more rows")


@rule("EV-020", EvaluationJob)
def unknown_selected_feature(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """A selected feature is not a column of the data set.

    Bad:
        kind: EvaluationJob
        spec:
          selected_features:
            - texts  # <-
    Good:
        kind: EvaluationJob
        spec:
          selected_features:
            - text
    """
    columns = view.columns(view.graph.target(job.ref, "spec", "dataset"))
    for index, feature in enumerate(job.spec.selected_features):
        if columns and feature not in columns:
            message = f"{feature!r} is not a column of {job.spec.dataset!r}"
            yield Breach(f"spec.selected_features.{index}", message, did_you_mean(feature, columns))


@rule("EV-026", EvaluationJob)
def unknown_slice_column(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """The column to slice by is not one of the data set.

    Bad:
        kind: EvaluationJob
        spec:
          slice_by: que  # <-
    Good:
        kind: EvaluationJob
        spec:
          slice_by: queue
    """
    columns = view.columns(view.graph.target(job.ref, "spec", "dataset"))
    for index, name in enumerate(job.spec.slice_by):
        if (columns or not name) and name not in columns:
            what = f"{name!r} is not a column of {job.spec.dataset!r}" if name else "the column to slice by has no name"
            yield Breach(f"spec.slice_by.{index}", what, did_you_mean(name, columns))


@rule("EV-027", EvaluationJob)
def sliced_twice(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """A column to slice by is named twice.

    Each column makes slices by itself; naming it again adds nothing.

    Bad:
        kind: EvaluationJob
        spec:
          slice_by:
            - queue
            - queue  # <-
    Good:
        kind: EvaluationJob
        spec:
          slice_by:
            - queue
    """
    named = job.spec.slice_by
    for index, name in enumerate(named):
        if name in named[:index]:
            yield Breach(f"spec.slice_by.{index}", f"{name!r} is named before", "remove one of them")


@rule("EV-028", EvaluationJob)
def nothing_to_slice(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """The evaluation is sliced, and computes nothing that a slice can have.

    Rows are answered in batches: latency is of all of them, not of a few.

    Bad:
        kind: EvaluationJob
        spec:
          metrics: [latency]
          gates: [{metric: latency, max: 1.0}]
          slice_by: queue  # <-
    Good:
        kind: EvaluationJob
        spec:
          metrics: [exact_match, latency]
          slice_by: queue
    """
    if job.spec.slice_by and not set(job.spec.metrics) & set(OF_ROWS):
        yield Breach("spec.slice_by", "no metric here is known row by row", "add exact_match or rougeL to metrics")


@rule("EV-042", EvaluationJob, severity=Severity.WARNING)
def too_many_slices(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """The column to slice by has more different values than an evaluation makes slices of.

    At most 50 make slices: of more, hardly one has rows enough to say anything. The evaluation counts the rows that it
    asks, which may be fewer than all.

    Bad:
        kind: Dataset
        metadata: {name: tickets}
        spec:
          location: data/crowd.csv
        ---
        kind: EvaluationJob
        spec:
          slice_by: text  # <-
    Good:
        kind: Dataset
        metadata: {name: tickets}
        spec:
          location: data/crowd.csv
        ---
        kind: EvaluationJob
        spec:
          slice_by: queue
    """
    known = profile(view, view.graph.target(job.ref, "spec", "dataset")) if job.spec.slice_by else None
    if known is None:
        return
    for index, name in enumerate(job.spec.slice_by):
        column = known.columns.get(name)
        if column and column.different > MOST_SLICES:
            message = f"{name!r} has {column.different:,} different values; at most {MOST_SLICES} make slices"
            yield Breach(f"spec.slice_by.{index}", message, "slice by a column that sorts rows into few groups")


@rule("EV-021", EvaluationJob, severity=Severity.WARNING)
def prompt_of_other_columns(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """The prompt was made for another data set, and this one lacks one of its columns.

    The evaluation would stop at the first row.

    Bad:
        kind: Dataset
        metadata:
          name: questions
        spec:
          type: project_jsonl
          location: data/questions.jsonl
        ---
        kind: EvaluationJob
        spec:
          dataset: questions
          prompt: route-ticket  # <-
    Good:
        kind: EvaluationJob
        spec:
          dataset: hub-tickets
          prompt: route-ticket
    """
    dataset = view.graph.target(job.ref, "spec", "dataset")
    prompt = view.get(view.graph.target(job.ref, "spec", "prompt"), Prompt)
    columns = view.columns(dataset)
    if prompt is None or not columns or view.graph.target(prompt.ref, "spec", "dataset") == dataset:
        return
    facts = view.facts(prompt.ref, PromptFacts)
    missing = [field for field in _fields(facts) if field not in columns] if facts else []
    if missing:
        message = f"{prompt.ref} uses {missing[0]!r}, which is not a column of {dataset}"
        yield Breach("spec.prompt", message, f"write a Prompt for {dataset}")


def _fields(facts: PromptFacts) -> list[str]:
    """The columns of what the model is shown and must answer; none of a template that does not parse."""
    chat = facts.chat
    if chat and chat.messages:
        return [chat.messages]
    templates = (chat.system if chat else "", facts.input_template, facts.completion_template)
    try:
        return [field for template in templates for field in parse(template).fields]
    except TemplateError:
        return []
