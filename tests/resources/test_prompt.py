"""Templates made from column names, as the guide describes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core.templates import parse
from studio.resources.output_columns import OUTPUT_COLUMNS, output_column
from studio.resources.prompt import generate_templates

columns = st.lists(st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_ ]{0,10}", fullmatch=True), min_size=1, max_size=5, unique=True)


@pytest.mark.parametrize(
    ("names", "output"),
    [
        (("question", "answer"), "answer"),
        (("answer", "question"), "answer"),
        (("label", "response", "text"), "response"),
        (("Text", "LABEL"), "LABEL"),
        (("text", "target", "output"), "output"),
        (("first", "second", "third"), "third"),
        (("only",), "only"),
        (("Answer", "answer", "q"), "Answer"),
        (("Best Answer", "question"), "Best Answer"),
        (("bestAnswer", "question"), "bestAnswer"),
        (("expected-output", "input"), "expected-output"),
        (("replies", "message"), "replies"),
        (("categories", "predicted_category"), "categories"),
        (("title", "ground_truth"), "ground_truth"),
    ],
)
def test_the_output_is_the_best_ranked_column_else_the_last(names: tuple[str, ...], output: str) -> None:
    assert output_column(names) == output


def test_the_ranked_list_names_no_column_twice_and_starts_as_in_the_guide() -> None:
    assert len(set(OUTPUT_COLUMNS)) == len(OUTPUT_COLUMNS)
    ranks = [OUTPUT_COLUMNS.index(name) for name in ("answer", "response", "output", "label", "target")]
    assert ranks[0] == 0 and all(rank < 30 for rank in ranks)


def test_the_ranked_list_holds_about_500_names_that_a_column_can_have() -> None:
    assert 450 <= len(OUTPUT_COLUMNS) <= 550
    assert all(name.replace("_", "").isalpha() and name == name.lower() for name in OUTPUT_COLUMNS)
    assert not {"question", "input", "instruction", "prompt", "context", "text", "id"} & set(OUTPUT_COLUMNS)


def test_the_templates_are_the_guides_but_for_the_space_that_belongs_to_the_answer() -> None:
    made = generate_templates(("customer_name", "question", "answer"))
    assert made.prompt_template == (
        "You are an LLM responsible for generating a response. Please provide a response given the user input below."
        "\n\n<Customer Name>: {customer_name}\n<Question>: {question}\n<Output>: {answer}\n"
    )
    assert made.completion_template == " {answer}\n"
    assert not made.input_template.endswith(" ")


@given(columns)
def test_every_column_stands_in_the_prompt_once_and_the_output_last(names: list[str]) -> None:
    made = generate_templates(tuple(names))
    output = output_column(tuple(names))
    assert parse(made.prompt_template).fields == (*(name for name in names if name != output), output)
    assert parse(made.input_template).fields == tuple(name for name in names if name != output)
    assert made.prompt_template == made.input_template + made.completion_template


@given(columns)
def test_the_prompt_of_a_row_is_its_input_and_its_completion(names: list[str]) -> None:
    made = generate_templates(tuple(names))
    row = {name: f"value of {name}" for name in names}
    prompt, shown, completion = (
        parse(template).render(row)
        for template in (made.prompt_template, made.input_template, made.completion_template)
    )
    assert prompt == shown + completion
