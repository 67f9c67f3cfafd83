"""Conversations: what a cell of a data set must hold to be one, said in the same words offline and in a job."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from studio.core.suggest import did_you_mean, nearest

ASSISTANT, USER, SYSTEM = "assistant", "user", "system"
ROLES = (SYSTEM, "developer", USER, ASSISTANT, "tool")
_ROLE, _CONTENT = "role", "content"
_ALIASES = {"human": USER, "customer": USER, "gpt": ASSISTANT, "bot": ASSISTANT, "ai": ASSISTANT, "model": ASSISTANT}
"""What other forms of conversations call a role."""
FORM = 'write [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]'


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side says at a time."""

    role: str
    content: str

    def message(self) -> dict[str, str]:
        """As chat templates read it."""
        return {_ROLE: self.role, _CONTENT: self.content}


Conversation = tuple[Turn, ...]
"""Ends in a turn of the assistant, and does not begin with one."""


class ConversationError(ValueError):
    """A value that holds no conversation: what is wrong, and what to do next."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def read(value: object) -> Conversation:
    """The turns of a cell up to the assistant's last one, after which nothing is learnt; raises ConversationError."""
    if not isinstance(value, list):
        raise _no_list(value)
    if not value:
        raise ConversationError("the list of turns is empty", "fill it, or take the row out")
    turns = tuple(_turn(held, number) for number, held in enumerate(value, 1))
    answers = [index for index, turn in enumerate(turns) if turn.role == ASSISTANT]
    if not answers:
        raise ConversationError("no turn is the assistant's", "add the answer that the model is to learn")
    if answers[0] == 0:
        raise ConversationError("it begins with the assistant: nothing is asked", "add the user's turn before it")
    return turns[: answers[-1] + 1]


def _no_list(value: object) -> ConversationError:
    if value is None:
        return ConversationError("there is no conversation", FORM)
    if isinstance(value, str) and isinstance(_parsed(value), list):
        return ConversationError("a list of turns, but written as text", "write the list itself, without quotes")
    return ConversationError(f"{_kind(value)} in place of a list of turns", FORM)


def _turn(held: object, number: int) -> Turn:
    where = f"turn {number}"
    if not isinstance(held, dict):
        raise ConversationError(f"{where}: {_kind(held)} in place of role and content", FORM)
    given = {str(key): value for key, value in held.items() if value is not None}
    if "from" in given and "value" in given:
        raise ConversationError(
            f"{where}: 'from' and 'value' in place of 'role' and 'content'",
            "rename them, and write user for human and assistant for gpt",
        )
    for key in ("tool_calls", "function_call"):
        if held.get(key):
            raise ConversationError(
                f"{where}: {key!r}: calls of tools are not learnt here",
                "take the row out, or write the call as text into content",
            )
    for key in (_ROLE, _CONTENT):
        if key not in given:
            raise ConversationError(f"{where} has no {key}", _lacking(key, tuple(given)))
    for key in sorted(set(given) - {_ROLE, _CONTENT}):
        raise ConversationError(f"{where}: {key!r} is not read here", "take it out: a turn is a role and its content")
    return Turn(_role(given[_ROLE], where), _content(given[_CONTENT], where))


def _lacking(key: str, given: tuple[str, ...]) -> str:
    meant = nearest(key, given)
    written = f"write {_ROLE}: {', '.join(ROLES[:-1])} or {ROLES[-1]}" if key == _ROLE else "write what is said in it"
    if not given:
        return FORM
    return f"did you mean {meant!r}?" if meant else f"{written}, or take the row out"


def _role(value: object, where: str) -> str:
    if value not in ROLES:
        known = _ALIASES.get(value.lower()) if isinstance(value, str) else None
        hint = f"write {known}" if known else did_you_mean(str(value), ROLES)
        raise ConversationError(f"{where}: the role {value!r} is unknown", hint)
    return str(value)


def _content(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise ConversationError(f"{where}: its content is {_kind(value)}, not text", "write the content as one text")
    if not value.strip():
        raise ConversationError(f"{where}: its content is empty", "fill it, or take the row out")
    return value


def _kind(value: object) -> str:
    match value:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case dict():
            return "an object"
        case _:
            return "nothing" if value is None else "something else"


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
