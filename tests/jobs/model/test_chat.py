"""Conversations to tokens: exactly what the assistant says counts, whatever a template makes around it."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.core.conversations import Turn
from studio.core.errors import JobError
from studio.jobs.inputs.conversations import Spoken
from studio.jobs.model import chat
from studio.jobs.model.chat import Speech
from studio.jobs.model.scoring import IGNORED, Scored

from ..chat_forms import CHATML, FORMS, HEADERS, INST, MARKED, PLAIN, THINKING, TURNS, WITHIN_A_TOKEN, tokenizer


@cache
def speech(template: str, *ends: str) -> Speech:
    made = tokenizer(template)
    return chat.speech(made, "", [made.convert_tokens_to_ids(end) for end in ends], "tiny")


def spoken(*turns: str, row: int = 1) -> Spoken:
    """Turns as ``role: content``."""
    return Spoken(row, tuple(Turn(*turn.split(": ", 1)) for turn in turns))


TWICE = spoken("user: Who?", "assistant: Ada.", "user: When?", "assistant: In 1843.")


def learnt(how: Speech, row: Scored) -> list[str]:
    """The texts that count, one for each piece without a gap."""
    pieces: list[list[int]] = []
    before = IGNORED
    for label in row.labels:
        if label != IGNORED:
            pieces.append([]) if before == IGNORED else None
            pieces[-1].append(label)
        before = label
    return [how.tokenizer.decode(piece) for piece in pieces]


def encoded(how: Speech, each: Spoken, loss: str) -> Scored:
    return chat.encode(how, [each], loss).rows[0]


@pytest.mark.parametrize(
    ("template", "end", "answers"),
    [
        (CHATML, "<|im_end|>", ["Ada.<|im_end|>", "In 1843.<|im_end|>"]),
        (MARKED, "<|im_end|>", ["Ada.<|im_end|>", "In 1843.<|im_end|>"]),
        (HEADERS, "<|eot|>", ["Ada.<|eot|>", "In 1843.<|eot|>"]),
        (INST, "</s>", [" Ada.</s>", " In 1843.</s>"]),
        (TURNS, "</turn>", ["Ada.</turn>", "In 1843.</turn>"]),
        (CHATML, "</s>", ["Ada.<|im_end|>", "In 1843.<|im_end|></s>"]),
        (PLAIN, "</s>", [" Ada.", " In 1843.</s>"]),
    ],
)
def test_answers_count_with_the_token_that_ends_them_and_nothing_else_does(
    template: str, end: str, answers: list[str]
) -> None:
    how = speech(template, end)
    assert learnt(how, encoded(how, TWICE, "assistant")) == answers
    assert learnt(how, encoded(how, TWICE, "completion")) == answers[-1:]
    whole = encoded(how, TWICE, "full")
    assert whole.labels == whole.ids and whole.ids[-1] in how.ends


def test_tokens_are_those_of_the_template_and_a_question_is_how_they_begin() -> None:
    for template in FORMS.values():
        how = speech(template, "<|im_end|>", "<|eot|>", "</turn>")
        row = encoded(how, TWICE, "completion")
        made = how.tokenizer.apply_chat_template([turn.message() for turn in TWICE.turns], return_dict=False)
        assert made[: len(row.ids) - 1] == row.ids[:-1]
        asked = how.tokenizer(chat.questions(how, [TWICE])[0], add_special_tokens=False)["input_ids"]
        assert row.ids[: len(asked)] == asked and set(row.labels[: len(asked)]) == {IGNORED}


def test_the_marks_that_trl_needs_say_the_same() -> None:
    how = speech(MARKED, "<|im_end|>")
    row = encoded(how, TWICE, "assistant")
    made = how.tokenizer.apply_chat_template(
        [turn.message() for turn in TWICE.turns], return_dict=True, return_assistant_tokens_mask=True
    )
    assert [label != IGNORED for label in row.labels] == [each == 1 for each in made["assistant_masks"]]


def test_what_a_template_puts_before_an_answer_is_learnt_with_it() -> None:
    how = speech(THINKING, "<|im_end|>")
    row = encoded(how, TWICE, "completion")
    assert learnt(how, row) == ["<think>\n\n</think>\n\nIn 1843.<|im_end|>"]
    thought = spoken("user: When?", "assistant: <think>hm</think>\n\n1843")
    assert learnt(how, encoded(how, thought, "assistant")) == ["<think>hm</think>\n\n1843<|im_end|>"]


def test_a_template_that_changes_earlier_answers_is_refused_where_they_count() -> None:
    how = speech(THINKING, "<|im_end|>")
    with pytest.raises(JobError, match=r"row 1: the chat template writes turn 2 \(assistant\) otherwise") as caught:
        encoded(how, TWICE, "assistant")
    assert "loss: completion" in caught.value.hint and "chat_template" in caught.value.hint


@pytest.mark.parametrize(
    ("template", "each", "fault"),
    [
        (TURNS, spoken("system: Be kind", "user: a", "assistant: b", row=7), "row 7: .*refuses.*no system turn"),
        (INST, spoken("user: a", "tool: 4", "assistant: b"), "row 1: .*only user and assistant"),
        (
            "{% for m in messages if m.role != 'tool' %}{{ m.content }}{% endfor %}",
            spoken("user: a", "tool: 44", "assistant: b"),
            r"leaves out turn 2 \(tool\)",
        ),
        ("{{ messages[0].content }}", spoken("user: a", "assistant: b"), r"does not write what turn 2 \(assistant\)"),
        (
            "{% for m in messages %}{{ m.content | upper }}{% endfor %}",
            spoken("user: A", "assistant: b"),
            r"does not write what turn 2 \(assistant\)",
        ),
        (
            "{{ messages | length }}{% for m in messages %}{{ m.content }}{% endfor %}",
            spoken("user: a", "assistant: b"),
            r"writes turn 2 \(assistant\) otherwise than it asks for it",
        ),
        ("{{ messages[0].text.more }}", spoken("user: a", "assistant: b"), "refuses a conversation"),
        ("{% for %}", spoken("user: a", "assistant: b"), "is no Jinja, line 1"),
        ("{{ messages.__class__.__mro__ }}", spoken("user: a", "assistant: b"), "refuses a conversation"),
        ("{% if a %}" * 101 + "{% endif %}" * 101, spoken("user: a", "assistant: b"), "too many levels of indentation"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", spoken("user: a", "assistant: b"), "maximum recursion"),
        ("{{ 1 / 0 }}", spoken("user: a", "assistant: b"), "refuses a conversation"),
    ],
)
def test_what_a_template_cannot_do_is_said_with_the_row(template: str, each: Spoken, fault: str) -> None:
    with pytest.raises(JobError, match=fault) as caught:
        encoded(speech(template), each, "completion")
    assert caught.value.hint


def test_a_template_that_asks_within_a_token_is_refused_unless_it_does_so_seldom() -> None:
    how = speech(WITHIN_A_TOKEN)
    with pytest.raises(JobError, match=r"within a token in 1 of 1 rows: after '.*ASSISTANT: '") as caught:
        encoded(how, spoken("user: Where?", "assistant: card"), "completion")
    assert "a space belongs to the answer" in caught.value.hint
    digit = spoken("user: How many?", "assistant: 7")  # the space before a digit is a token of its own
    assert chat.encode(how, [digit], "completion").joined == 0
    both = [digit, digit, spoken("user: Where?", "assistant: card")]
    assert chat.encode(how, both, "completion").joined == 1


def test_a_tokenizer_without_a_template_needs_one_from_the_prompt() -> None:
    made = tokenizer()
    with pytest.raises(JobError, match="tiny: its tokenizer has no chat template"):
        chat.speech(made, "", [], "tiny")
    assert chat.speech(made, CHATML, [], "tiny").template == CHATML
    made.chat_template = {"default": PLAIN, "tool_use": CHATML}
    assert chat.speech(made, "", [], "tiny").template == PLAIN


WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"), include_characters="\n\t"), min_size=1, max_size=30
).filter(lambda text: text.strip() and not any(mark in text for mark in ("<|", "</", "[", "<s", "<u", "<p", "<t")))


@st.composite
def conversations(draw: Any) -> Spoken:
    turns = [Turn("system", draw(WORDS))] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(1, 4))):
        turns += [Turn("user", draw(WORDS)), Turn("assistant", draw(WORDS))]
    return Spoken(1, tuple(turns))


@settings(max_examples=60, deadline=None)
@given(each=conversations(), name=st.sampled_from(sorted(set(FORMS) - {"turns"})))
def test_the_mask_covers_exactly_what_the_assistant_says(each: Spoken, name: str) -> None:
    how = speech(FORMS[name], "<|im_end|>", "<|eot|>")
    ends = ("<|im_end|>", "<|eot|>", "</s>")
    said = [turn.content.strip() for turn in each.turns if turn.role == "assistant"]
    pieces = learnt(how, encoded(how, each, "assistant"))
    assert [strip(piece, ends) for piece in pieces] == said
    assert [strip(piece, ends) for piece in learnt(how, encoded(how, each, "completion"))] == said[-1:]
    assert pieces[-1].endswith(ends)


def strip(piece: str, ends: tuple[str, ...]) -> str:
    for end in ends:
        piece = piece.removesuffix(end)
    return piece.strip()
