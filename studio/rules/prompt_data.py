"""PR: what templates make of the rows there are."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core.findings import Severity
from studio.core.templates import TemplateError, is_field, parse
from studio.load.samples import Profile
from studio.resources.prompt import Prompt, PromptFacts
from studio.rules import measures
from studio.rules.base import Breach, View, rule


def _templates(prompt: Prompt, view: View) -> PromptFacts:
    """The templates in force, empty where they are not known."""
    return view.facts(prompt.ref, PromptFacts) or PromptFacts("", "", "")


def _at(prompt: Prompt, field: str) -> str:
    return "spec.generate" if prompt.spec.generate else f"spec.{field}"


@rule("PR-014", Prompt, severity=Severity.WARNING)
def answer_in_input(prompt: Prompt, view: View) -> Iterator[Breach]:
    """A column of the completion is in the input as well.

    The model is shown the answer, and learns to copy it. When it is asked for real there is nothing to copy.

    Bad:
        kind: Prompt
        spec:
          input_template: "### CUSTOMER: {text} ({queue})\\n### QUEUE:"  # <-
    Good:
        kind: Prompt
        spec:
          input_template: "### CUSTOMER: {text}\\n### QUEUE:"
    """
    try:
        shown, answer = parse(prompt.spec.input_template), parse(prompt.spec.completion_template)
    except TemplateError:
        return
    for field in sorted({*answer.fields} & {*shown.fields}):
        message = f"{{{field}}} is in the completion and in the input: the model is shown the answer"
        yield Breach("spec.input_template", message, f"take {{{field}}} out of input_template and prompt_template")


@rule("PR-015", Prompt, severity=Severity.WARNING)
def same_text_for_every_row(prompt: Prompt, view: View) -> Iterator[Breach]:
    """The columns of a template hold the same value in every row, or none at all.

    With the same answer everywhere nothing is asked, and with the same input everywhere nothing can be told apart.

    Bad:
        kind: Dataset
        metadata: {name: one-queue}
        spec: {location: data/one-queue.csv}
        ---
        kind: Prompt
        metadata: {name: route-one}
        spec:
          dataset: one-queue
          completion_template: " {queue}"  # <-
    Good:
        kind: Prompt
        metadata: {name: route-one}
        spec:
          dataset: tickets
          completion_template: " {queue}"
    """
    known = measures.profile(view, view.graph.target(prompt.ref, "spec", "dataset"))
    if known is None or known.measured < 2:
        return
    facts = _templates(prompt, view)
    for name, text in (("input_template", facts.input_template), ("completion_template", facts.completion_template)):
        template = measures.template(text, known)
        if template is None or not template.fields:
            continue
        columns = [known.columns[field] for field in template.fields]
        if all(column.different == 1 or column.empty == known.measured for column in columns):
            what = "empty" if all(column.empty == known.measured for column in columns) else "the same"
            fields = ", ".join(f"{{{field}}}" for field in dict.fromkeys(template.fields))
            message = f"{fields} of {name}: {what} in {_scope(known)}"
            yield Breach(_at(prompt, name), message, "use a column that differs from row to row")


@rule("PR-016", Prompt, severity=Severity.WARNING)
def rows_without_answer(prompt: Prompt, view: View) -> Iterator[Breach]:
    """A column of the completion is empty in some rows.

    From those rows the model learns to say nothing.

    Bad:
        kind: Dataset
        metadata: {name: unanswered}
        spec: {location: data/unanswered.csv}
        ---
        kind: Prompt
        metadata: {name: route-unanswered}
        spec:
          dataset: unanswered
          completion_template: " {queue}"  # <-
    Good:
        kind: Prompt
        metadata: {name: route-unanswered}
        spec:
          dataset: tickets
          completion_template: " {queue}"
    """
    known = measures.profile(view, view.graph.target(prompt.ref, "spec", "dataset"))
    if known is None:
        return
    template = measures.template(_templates(prompt, view).completion_template, known)
    for field in dict.fromkeys(template.fields if template else ()):
        empty = known.columns[field].empty
        if 0 < empty < known.measured:
            message = f"{{{field}}} is empty in {empty:,} of {_scope(known)}"
            yield Breach(_at(prompt, "completion_template"), message, "fill or remove these rows")


@rule("PR-018", Prompt)
def column_that_is_no_placeholder(prompt: Prompt, view: View) -> Iterator[Breach]:
    """Templates are to be derived from a column whose name cannot be a placeholder.

    A placeholder begins with a letter or underscore and holds none of ``. [ ] ! : { }``, because these reach into
    the program that fills the template.

    Bad:
        kind: Dataset
        metadata: {name: ranked}
        spec: {location: data/ranked.csv}
        ---
        kind: Prompt
        metadata: {name: rank}
        spec:
          dataset: ranked
          prompt_template: ""
          input_template: ""
          completion_template: ""
          generate: true  # <-
    Good:
        kind: Prompt
        metadata: {name: rank}
        spec:
          dataset: tickets
          prompt_template: ""
          input_template: ""
          completion_template: ""
          generate: true
    """
    dataset = view.graph.target(prompt.ref, "spec", "dataset")
    for column in view.columns(dataset) if prompt.spec.generate else ():
        if not is_field(column):
            message = f"the column {column!r} of {dataset} cannot be a placeholder"
            yield Breach("spec.generate", message, "rename the column; a name begins with a letter or underscore")


def _scope(known: Profile) -> str:
    whole = f"{known.total:,} rows"
    return whole if known.measured == known.total else f"{known.measured:,} measured of {whole}"
