"""Conversations: what a cell must hold, and what is said when it does not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core.conversations import ASSISTANT, ROLES, ConversationError, Turn, read

USER = {"role": "user", "content": "a"}
ANSWER = {"role": "assistant", "content": "b"}
KEYS = st.sampled_from(["role", "content", "from", "value", "name", "tool_calls"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(ROLES)
TURNS = st.dictionaries(KEYS, SCALARS | st.lists(SCALARS, max_size=2), max_size=4) | SCALARS


def refusal(value: object) -> ConversationError:
    with pytest.raises(ConversationError) as caught:
        read(value)
    return caught.value


def test_turns_are_read_up_to_the_last_answer() -> None:
    assert read([USER, ANSWER, USER, ANSWER, USER]) == (Turn("user", "a"), Turn("assistant", "b")) * 2


def test_a_key_without_a_value_is_as_good_as_none() -> None:
    """Arrow gives every turn of a column all keys that any turn has."""
    assert read([USER, {**ANSWER, "tool_calls": None, "name": None}]) == (Turn("user", "a"), Turn("assistant", "b"))


@pytest.mark.parametrize(
    ("value", "message", "hint"),
    [
        (None, "there is no conversation", "write [{"),
        ("hello", "text in place of a list of turns", "write [{"),
        ('[{"role": "user"}]', "a list of turns, but written as text", "without quotes"),
        ({}, "an object in place of a list of turns", "write [{"),
        (True, "true or false in place of a list of turns", "write [{"),
        ([], "the list of turns is empty", "take the row out"),
        ([USER], "no turn is the assistant's", "the answer"),
        ([ANSWER], "it begins with the assistant: nothing is asked", "the user's turn"),
        ([USER, "b"], "turn 2: text in place of role and content", "write [{"),
        ([USER, {}], "turn 2 has no role", "write [{"),
        ([USER, {"role": "assistant"}], "turn 2 has no content", "write what is said in it"),
        ([USER, {"role": "assistant", "content": None, "tool_calls": [{}]}], "calls of tools", "take the row out"),
        ([USER, {"rôle": "assistant", "content": "b"}], "turn 2 has no role", "did you mean 'rôle'?"),
        ([USER, {"role": "gpt", "content": "b"}], "turn 2: the role 'gpt' is unknown", "write assistant"),
        ([USER, {"role": "asistant", "content": "b"}], "turn 2: the role 'asistant' is unknown", "'assistant'?"),
        ([USER, {"role": 3, "content": "b"}], "turn 2: the role 3 is unknown", "known: "),
        ([USER, {**ANSWER, "content": "\n"}], "turn 2: its content is empty", "take the row out"),
        ([USER, {**ANSWER, "content": ["b"]}], "turn 2: its content is a list, not text", "one text"),
        ([USER, {**ANSWER, "weight": 0}], "turn 2: 'weight' is not read here", "take it out"),
        ([{"from": "human", "value": "a"}, ANSWER], "turn 1: 'from' and 'value' in place of", "rename them"),
    ],
)
def test_what_is_no_conversation_is_said_with_the_turn_and_what_to_do(value: object, message: str, hint: str) -> None:
    fault = refusal(value)
    assert message in fault.message and hint in fault.hint


@given(st.lists(TURNS, max_size=4) | SCALARS)
def test_any_value_is_a_conversation_or_a_fault_with_a_hint(value: Any) -> None:
    try:
        turns = read(value)
    except ConversationError as fault:
        assert fault.message and fault.hint
    else:
        assert turns[-1].role == ASSISTANT != turns[0].role
        assert all(turn.role in ROLES and turn.content.strip() for turn in turns)
