"""What an evaluation asks: the rows that training did not see, as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from studio.core.conversations import Turn
from studio.core.errors import JobError
from studio.core.fingerprints import digest
from studio.core.jobspec import EvaluationWork, JobSpec
from studio.core.prompting import Chat, Templates
from studio.core.suggest import did_you_mean
from studio.jobs.evaluation import slices
from studio.jobs.evaluation.slices import Slice
from studio.jobs.events import EventLog
from studio.jobs.inputs import conversations, rows, templating
from studio.jobs.inputs.conversations import Spoken
from studio.jobs.inputs.rows import UnseenRows

BETWEEN = "\n\n"


@dataclass(frozen=True, slots=True)
class Questions:
    """The rows as text, and the columns to carry along. ``digest`` says which rows of which split, and what they ask:
    combinations are comparable only where it is the same."""

    prompts: list[str]
    expected: list[str]
    spoken: list[Spoken]
    """The conversations that they come from, where rows are such; else none."""
    features: dict[str, list[object]]
    slices: tuple[Slice, ...]
    digest: str


def ask(spec: JobSpec, work: EvaluationWork, events: EventLog) -> Questions:
    """The same for every job that shares the work. Raises JobError for what a user can mend."""
    how = work.templates.chat
    if not how and not (work.templates.input and work.templates.completion):
        raise JobError(
            "evaluation needs a prompt with input_template and completion_template",
            "the input is what the model is asked, the completion is what is expected",
        )
    loaded = rows.load(work.dataset, spec)
    if how:
        conversations.check(loaded, how, work.dataset.name)
    chosen = rows.unseen(loaded, work.dataset.digest, work.seen, work.fraction)
    columns = chosen.rows.column_names
    for field, names in (("selected_features", work.selected_features), ("slice_by", work.slice_by)):
        for name in names:
            if name not in columns:
                raise JobError(f"{field}: the dataset has no column {name!r}", did_you_mean(name, columns))
    cut = slices.cut({name: chosen.rows[name][:] for name in work.slice_by}, work)
    without = ", without those that training saw" if work.seen else ""
    events.write("data", f"{len(chosen.rows)} rows of the {chosen.split} split{without}")
    spoken = _spoken(chosen, work.templates, how) if how else []
    prompts = [said(each.turns[:-1]) for each in spoken] or templating.rendered(chosen.rows, work.templates.input)
    expected = [each.turns[-1].content for each in spoken] or templating.rendered(
        chosen.rows, work.templates.completion
    )
    features = {name: chosen.rows[name][:] for name in work.selected_features}
    asked = [chosen.split, chosen.indices, prompts, expected, *([how.template] if how else [])]
    sliced = [[[each.column, each.value, each.rows.tolist()] for each in cut]] if cut else []
    return Questions(prompts, expected, spoken, features, cut, digest(asked + sliced))


def _spoken(chosen: UnseenRows, parts: Templates, how: Chat) -> list[Spoken]:
    return conversations.of(chosen.rows, [index + 1 for index in chosen.indices], parts, how)


def said(turns: Sequence[Turn]) -> str:
    """Turns for people to read; a model gets them through its chat template."""
    return BETWEEN.join(f"{turn.role}: {turn.content}" for turn in turns)
