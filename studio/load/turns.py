"""Conversations as those see them who measure and show rows without an ML library: what is said, and what of it counts.

The chat template's own words are not there: its Jinja runs in jobs alone. So lengths are lower bounds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from studio.core import conversations
from studio.core.conversations import ASSISTANT, Conversation, ConversationError, Turn
from studio.core.templates import Template
from studio.load.samples import MARGIN, Profile

BETWEEN = "\n"


@dataclass(frozen=True, slots=True)
class Said:
    """What one side says, and whether it counts for the loss."""

    role: str
    text: str
    counts: bool


@dataclass(frozen=True, slots=True)
class Turns:
    """How a row becomes a conversation: from ``column``, or of ``templates`` by role. ``end`` ends the last answer."""

    column: str
    templates: tuple[tuple[str, Template], ...]
    loss: str
    end: str = ""

    def pair(self, row: Mapping[str, Any]) -> tuple[str, str]:
        """What comes before the first turn that counts, and the rest; nothing of a row without a conversation."""
        said = self.said(row)
        first = next((index for index, each in enumerate(said) if each.counts), len(said))
        shown, answer = (BETWEEN.join(each.text for each in part) for part in (said[:first], said[first:]))
        return shown + (BETWEEN if shown and answer else ""), answer + (self.end if answer else "")

    def said(self, row: Mapping[str, Any]) -> tuple[Said, ...]:
        """Its turns up to the last answer; none of a row without a conversation, which a rule reports."""
        turns = self._conversation(row)
        last = len(turns) - 1
        answers = {index for index, turn in enumerate(turns) if turn.role == ASSISTANT}
        counted = {"full": {*range(len(turns))}, "assistant": answers}.get(self.loss, {last})
        return tuple(Said(turn.role, turn.content, index in counted) for index, turn in enumerate(turns))

    def columns(self) -> Iterator[str]:
        """What it needs of a row."""
        yield from [self.column] if self.column else []
        for _, template in self.templates:
            yield from template.fields

    def most(self, known: Profile) -> int:
        """A bound on the tokens of any measured row: a list as text has more signs than what is said in it."""
        if self.column:
            return known.columns[self.column].most + MARGIN
        return sum(known.most(template) for _, template in self.templates)

    def _conversation(self, row: Mapping[str, Any]) -> Conversation:
        if not self.column:
            return tuple(Turn(role, template.render(row)) for role, template in self.templates)
        try:
            return conversations.read(row[self.column])
        except ConversationError:
            return ()
