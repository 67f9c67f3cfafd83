"""What an evaluation asks: the rows that training did not see, as text."""

from __future__ import annotations

from dataclasses import dataclass

from studio.core.errors import JobError
from studio.core.fingerprints import digest
from studio.core.jobspec import EvaluationWork, JobSpec
from studio.core.suggest import did_you_mean
from studio.jobs.evaluation import slices
from studio.jobs.evaluation.slices import Slice
from studio.jobs.events import EventLog
from studio.jobs.inputs import rows, templating


@dataclass(frozen=True, slots=True)
class Questions:
    """The rows as text, and the columns to carry along. ``digest`` says which rows of which split, and what they ask:
    combinations are comparable only where it is the same."""

    prompts: list[str]
    expected: list[str]
    features: dict[str, list[object]]
    slices: tuple[Slice, ...]
    digest: str


def ask(spec: JobSpec, work: EvaluationWork, events: EventLog) -> Questions:
    """The same for every job that shares the work. Raises JobError for what a user can mend."""
    if not (work.templates.input and work.templates.completion):
        raise JobError(
            "evaluation needs a prompt with input_template and completion_template",
            "the input is what the model is asked, the completion is what is expected",
        )
    chosen = rows.unseen(rows.load(work.dataset, spec), work.dataset.digest, work.seen, work.fraction)
    columns = chosen.rows.column_names
    for field, names in (("selected_features", work.selected_features), ("slice_by", work.slice_by)):
        for name in names:
            if name not in columns:
                raise JobError(f"{field}: the dataset has no column {name!r}", did_you_mean(name, columns))
    cut = slices.cut({name: chosen.rows[name][:] for name in work.slice_by}, work)
    without = ", without those that training saw" if work.seen else ""
    events.write("data", f"{len(chosen.rows)} rows of the {chosen.split} split{without}")
    prompts = templating.rendered(chosen.rows, work.templates.input)
    expected = templating.rendered(chosen.rows, work.templates.completion)
    features = {name: chosen.rows[name][:] for name in work.selected_features}
    asked = [chosen.split, chosen.indices, prompts, expected]
    sliced = [[[each.column, each.value, each.rows.tolist()] for each in cut]] if cut else []
    return Questions(prompts, expected, features, cut, digest(asked + sliced))
