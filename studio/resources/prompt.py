"""Prompt: how a row becomes training text. Also the guide's generation of templates from column names."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from studio.core.templates import escape
from studio.resources.base import DESCRIPTIVE, OUTCOME, Resource, Spec, field


class PromptType(StrEnum):
    """Guide, Type Enums."""

    IN_PLACE = "in_place"


class PromptSpec(Spec):
    type: str = field(OUTCOME, "Kind of prompt.", "in_place", enum=[str(t) for t in PromptType])
    dataset: str = field(
        DESCRIPTIVE, "The data set whose columns the templates use.", "", references="Dataset", required=True
    )
    prompt_template: str = field(OUTCOME, "The whole training text, such as 'Question: {q}\\nAnswer: {a}'.", "")
    input_template: str = field(OUTCOME, "What the model is shown.", "")
    completion_template: str = field(OUTCOME, "What the model must answer.", "")
    generate: bool = field(OUTCOME, "Derive the templates from the data set's columns.", False)


class Prompt(Resource):
    kind: Literal["Prompt"] = "Prompt"
    spec: PromptSpec


@dataclass(frozen=True, slots=True)
class PromptFacts:
    """The templates in force: written in the manifest, or generated from the columns."""

    prompt_template: str
    input_template: str
    completion_template: str


OUTPUT_COLUMNS = (
    "answer", "answers", "response", "responses", "output", "outputs", "completion", "completions", "target", "targets",
    "label", "labels", "reply", "replies", "solution", "solutions", "result", "results", "summary", "summaries",
    "translation", "translations", "prediction", "predictions", "expected", "expected_output", "expected_answer",
    "gold", "gold_answer", "reference", "references", "ground_truth", "truth", "correct_answer", "best_answer",
    "final_answer", "assistant", "assistant_response", "bot", "bot_response", "chosen", "accepted", "generated_text",
    "generation", "output_text", "target_text", "response_text", "answer_text", "completion_text", "class",
    "class_label", "category", "categories", "intent", "intents", "queue", "tag", "tags", "topic", "topics",
    "sentiment", "rating", "score", "verdict", "decision", "conclusion", "explanation", "rationale", "headline",
    "title", "highlights", "abstract", "sql", "query_result", "code", "program", "y",
)  # fmt: skip
"""Common names of output columns, best first (guide, Auto-Generation from Dataset Columns: a ranked list)."""

_PREAMBLE = (
    "You are an LLM responsible for generating a response. Please provide a response given the user input below.\n\n"
)


def output_column(columns: tuple[str, ...]) -> str:
    """The column with the best-ranked name, else the last one."""
    by_fold = {column.lower(): column for column in reversed(columns)}
    return next((by_fold[name] for name in OUTPUT_COLUMNS if name in by_fold), columns[-1])


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
