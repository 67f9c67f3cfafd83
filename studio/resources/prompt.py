"""Prompt: how a row becomes training text. Also the guide's generation of templates from column names."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, Strict

from studio.core.templates import escape
from studio.resources.base import DESCRIPTIVE, OUTCOME, Part, Resource, Spec, field
from studio.resources.output_columns import output_column


class PromptType(StrEnum):
    """Guide, Type Enums."""

    IN_PLACE = "in_place"


class PromptExample(Part):
    """What the templates make of one row, written down and checked; each text is optional, one is needed."""

    row: dict[str, Any] = Field(default_factory=dict, description="Column to value, as in the data set.")
    prompt: str | None = field(DESCRIPTIVE, "The whole training text of the row.")
    input: str | None = field(DESCRIPTIVE, "What the model is shown.")
    completion: str | None = field(DESCRIPTIVE, "What the model must answer.")


class PromptSpec(Spec):
    type: str = field(OUTCOME, "Kind of prompt.", "in_place", enum=[str(t) for t in PromptType])
    dataset: str = field(
        DESCRIPTIVE, "The data set whose columns the templates use.", "", references="Dataset", required=True
    )
    prompt_template: str = field(OUTCOME, "The whole training text, such as 'Question: {q}\\nAnswer: {a}'.", "")
    input_template: str = field(OUTCOME, "What the model is shown.", "")
    completion_template: str = field(OUTCOME, "What the model must answer.", "")
    generate: bool = field(OUTCOME, "Derive the templates from the data set's columns.", False)
    examples: Annotated[tuple[PromptExample, ...], Strict(False)] = field(
        DESCRIPTIVE, "Rows and the texts they must become; validate compares them with what the templates give.", ()
    )


class Prompt(Resource):
    kind: Literal["Prompt"] = "Prompt"
    spec: PromptSpec


@dataclass(frozen=True, slots=True)
class PromptFacts:
    """The templates in force: written in the manifest, or generated from the columns."""

    prompt_template: str
    input_template: str
    completion_template: str


_PREAMBLE = (
    "You are an LLM responsible for generating a response. Please provide a response given the user input below.\n\n"
)


def generate_templates(columns: tuple[str, ...]) -> PromptFacts:
    """The guide's templates for ``columns`` (at least one).

    The guide's completion is ``{output}`` and a newline after ``<Output>: ``. The space before the answer belongs to
    the completion here: an input that ends in white space costs most of the accuracy with BPE tokenizers.
    """
    output = output_column(columns)
    inputs = [column for column in columns if column != output]
    lines = "".join(f"<{escape(column.replace('_', ' ').title())}>: {{{column}}}\n" for column in inputs)
    shown = f"{_PREAMBLE}{lines}<Output>:"
    completion = f" {{{output}}}\n"
    return PromptFacts(shown + completion, shown, completion)
