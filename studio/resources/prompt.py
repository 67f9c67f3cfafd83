"""Prompt: how a row becomes training text. Also the guide's generation of templates from column names."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as attribute
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, Strict

from studio.core.templates import escape
from studio.resources.base import DESCRIPTIVE, OUTCOME, UNRECORDED, Part, Resource, Spec, field
from studio.resources.output_columns import output_column

if TYPE_CHECKING:
    from studio.core.prompting import Templates


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
    messages: str = field(OUTCOME, "A column that holds conversations, in place of the templates.", "")
    chat: bool = field(OUTCOME, "The input is a user's turn and the completion the assistant's answer to it.", False)
    system: str = field(OUTCOME, "With chat: the system turn before them, which may use columns too.", "")
    chat_template: str = field(
        DESCRIPTIVE,
        "A Jinja file in the project that writes conversations as text, in place of the tokenizer's own template; "
        "the content decides, not the path.",
        "",
    )
    examples: Annotated[tuple[PromptExample, ...], Strict(False)] = field(
        DESCRIPTIVE, "Rows and the texts they must become; validate compares them with what the templates give.", ()
    )

    @property
    def is_chat(self) -> bool:
        """Whether rows become conversations."""
        return self.chat or bool(self.messages)


class Prompt(Resource):
    kind: Literal["Prompt"] = "Prompt"
    spec: PromptSpec


@dataclass(frozen=True, slots=True)
class ChatFacts:
    """How rows become conversations: the column that holds them, or "" where the templates make the turns; the system
    turn; and the chat template of the project, "" for the tokenizer's own."""

    messages: str = ""
    system: str = ""
    template: str = ""


@dataclass(frozen=True, slots=True)
class PromptFacts:
    """The templates in force: written in the manifest, or generated from the columns."""

    prompt_template: str
    input_template: str
    completion_template: str
    chat: ChatFacts | None = attribute(default=None, metadata={UNRECORDED: True})


def templates(facts: PromptFacts) -> Templates:
    """As jobs read them."""
    from studio.core.prompting import Chat, Templates

    chat = facts.chat
    return Templates(
        prompt=facts.prompt_template,
        input=facts.input_template,
        completion=facts.completion_template,
        chat=Chat(messages=chat.messages, system=chat.system, template=chat.template) if chat else None,
    )


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
