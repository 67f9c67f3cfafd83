"""Rows to conversations: read from a column, or made of a prompt's templates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from datasets import Dataset, DatasetDict

from studio.core import conversations
from studio.core.conversations import ASSISTANT, SYSTEM, USER, Conversation, ConversationError
from studio.core.errors import JobError
from studio.core.prompting import Chat, Templates
from studio.core.suggest import did_you_mean
from studio.jobs.inputs import templating


@dataclass(frozen=True, slots=True)
class Spoken:
    """A conversation, and the number of its row in the data set's split, counted from 1."""

    row: int
    turns: Conversation


def check(loaded: DatasetDict, chat: Chat, name: str) -> None:
    """Raises JobError when a row of any split holds no conversation: which one, and why."""
    for split, rows in loaded.items() if chat.messages else ():
        if chat.messages not in rows.column_names:
            hint = did_you_mean(chat.messages, rows.column_names)
            raise JobError(f"dataset {name}, split {split}: no column {chat.messages!r}", hint)
        numbers = range(1, len(rows) + 1)
        _read(zip(numbers, rows[chat.messages], strict=True), f"dataset {name}, split {split}, ")


def of(rows: Dataset, numbers: Sequence[int], parts: Templates, chat: Chat) -> list[Spoken]:
    """The conversation of each row. Raises JobError for one that cannot be, with its number."""
    if chat.messages:
        return _read(zip(numbers, rows[chat.messages], strict=True), "")
    templates = ((SYSTEM, chat.system), (USER, parts.input), (ASSISTANT, parts.completion))
    said = [(role, templating.rendered(rows, template)) for role, template in templates if template]
    turns = ([{"role": role, "content": texts[index]} for role, texts in said] for index in range(len(rows)))
    return _read(zip(numbers, turns, strict=True), "")


def _read(values: Iterable[tuple[int, object]], where: str) -> list[Spoken]:
    found: list[Spoken] = []
    faults: list[tuple[int, ConversationError]] = []
    for number, value in values:
        try:
            found.append(Spoken(number, conversations.read(value)))
        except ConversationError as error:
            faults.append((number, error))
    if faults:
        number, first = faults[0]
        others = f" ({len(faults)} of {len(found) + len(faults)} rows hold none)" if len(faults) > 1 else ""
        raise JobError(f"{where}row {number} is no conversation: {first.message}{others}", first.hint)
    return found
