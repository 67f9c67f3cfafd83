"""Rows to text: the columns that training and evaluation read."""

from __future__ import annotations

from collections.abc import Sequence

from datasets import Dataset

from studio.core import templates
from studio.core.errors import JobError
from studio.core.prompting import Templates
from studio.core.suggest import did_you_mean
from studio.core.templates import Template, TemplateError

TEXT = "prediction"
"""Column of the full training text (guide, Training Constants: TRAINING_DATA_TEXT_FIELD)."""
PROMPT, COMPLETION = "prompt", "completion"


def with_full_text(dataset: Dataset, parts: Templates, eos: str) -> Dataset:
    """One column, TEXT: the prompt template filled, and EOS (guide, map_dataset_with_prompt_template)."""
    return _with_texts(dataset, {TEXT: (parts.prompt, eos)})


def with_completion(dataset: Dataset, parts: Templates, eos: str) -> Dataset:
    """Two columns, PROMPT and COMPLETION; EOS ends the completion.

    No other column stays: trl would append its EOS to a column named ``text`` instead of the completion.
    """
    return _with_texts(dataset, {PROMPT: (parts.input, ""), COMPLETION: (parts.completion, eos)})


def rendered(dataset: Dataset, template: str) -> list[str]:
    """The template filled from every row. Raises JobError for a bad template or an unknown column."""
    parsed = parse(template, dataset.column_names)
    columns = {name: dataset[name][:] for name in parsed.fields}
    return _rendered(parsed, columns, len(dataset))


def parse(template: str, columns: Sequence[str]) -> Template:
    """A template whose fields are all columns; raises JobError otherwise."""
    try:
        parsed = templates.parse(template)
    except TemplateError as error:
        raise JobError(f"the template {template!r} is faulty at character {error.offset}: {error}") from error
    missing = [name for name in parsed.fields if name not in columns]
    if missing:
        raise JobError(f"the dataset has no column {missing[0]!r}", did_you_mean(missing[0], columns))
    return parsed


def _with_texts(dataset: Dataset, wanted: dict[str, tuple[str, str]]) -> Dataset:
    parsed = {name: (parse(template, dataset.column_names), end) for name, (template, end) in wanted.items()}

    def render(batch: dict[str, list[object]]) -> dict[str, list[str]]:
        rows = len(next(iter(batch.values())))
        return {name: [text + end for text in _rendered(t, batch, rows)] for name, (t, end) in parsed.items()}

    return dataset.map(render, batched=True, remove_columns=dataset.column_names)


def _rendered(template: Template, columns: dict[str, list[object]], rows: int) -> list[str]:
    return [template.render({name: columns[name][row] for name in template.fields}) for row in range(rows)]
