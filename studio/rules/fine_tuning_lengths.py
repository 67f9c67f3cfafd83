"""FT: rows that are longer than training reads."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core.findings import Severity
from studio.load.lengths import Lengths, Limit
from studio.resources.fine_tuning_job import FineTuningJob
from studio.rules import measures
from studio.rules.base import Breach, View, rule
from studio.rules.measures import Cut


def _field(job: FineTuningJob) -> str:
    value = job.spec.training_arguments_config
    inline = isinstance(value, dict) and "max_length" in value
    return "spec.training_arguments_config" + (".max_length" if inline else "")


def _hint(cut: Cut) -> str:
    found = cut.lengths
    if cut.bare:
        return (
            f"99 % of the conversations say at most {found.percentile(99)} tokens, all at most {found.longest}; raise "
            "max_length above that, for the chat template adds its own"
        )
    return f"max_length: {found.percentile(99)} fits 99 % of the rows, {found.longest} all; or shorten the templates"


def _loss(found: Lengths, limit: Limit) -> str:
    return f"{found.lost(limit):,} of {found.scope()}: max_length {limit.tokens} cuts off the whole completion"


@rule("FT-029", FineTuningJob, severity=Severity.WARNING)
def completion_cut_off(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """Some rows are so long that ``max_length`` leaves nothing of their completion.

    Such a row teaches nothing, and the training library drops it without a word. Rows are counted with the tokenizer
    of the model when that is a folder of the project; up to 20,000 of them, evenly spread.

    Bad:
        kind: FineTuningJob
        spec:
          training_arguments_config:
            max_length: 7  # <-
    Good:
        kind: FineTuningJob
        spec:
          training_arguments_config:
            max_length: 512
    """
    cut = measures.cut(job, view)
    if cut and cut.lengths.lost(cut.limit) and not cut.lengths.all_lost(cut.limit):
        yield Breach(_field(job), _loss(cut.lengths, cut.limit), _hint(cut))


@rule("FT-030", FineTuningJob)
def every_completion_cut_off(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """Every row is so long that ``max_length`` leaves nothing of its completion.

    No row is left to learn from, and the job would fail after it was placed.

    Bad:
        kind: FineTuningJob
        spec:
          training_arguments_config:
            max_length: 4  # <-
    Good:
        kind: FineTuningJob
        spec:
          training_arguments_config:
            max_length: 512
    """
    cut = measures.cut(job, view)
    if cut and cut.lengths.all_lost(cut.limit):
        yield Breach(_field(job), _loss(cut.lengths, cut.limit), _hint(cut))


@rule("FT-031", FineTuningJob, severity=Severity.WARNING)
def rows_cut(job: FineTuningJob, view: View) -> Iterator[Breach]:
    """Some rows are longer than ``max_length`` and lose their end.

    Without its end a row does not teach the model to stop, and often teaches half an answer.

    Bad:
        kind: FineTuningJob
        spec:
          training_arguments_config:
            max_length: 9  # <-
    Good:
        kind: FineTuningJob
        spec:
          training_arguments_config:
            max_length: 512
    """
    cut = measures.cut(job, view)
    if cut is None:
        return
    found, limit = cut.lengths, cut.limit
    shortened = found.over(limit) - found.lost(limit)
    if shortened:
        part = "beginning" if limit.from_end else "end"
        message = f"{shortened:,} of {found.scope()}: longer than max_length {limit.tokens}, their {part} is cut"
        yield Breach(_field(job), message, _hint(cut))
