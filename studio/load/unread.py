"""What was written and could not be read: what it may declare is not called missing."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

_WORD = re.compile(r"\w[\w.-]*")


@dataclass(slots=True)
class Unread:
    """The words of documents that did not become resources. A name among them may be declared there."""

    words: set[str] = field(default_factory=set)
    unknown: bool = False
    """Whether a file or folder could not be opened at all: it may declare any name."""

    def __contains__(self, name: str) -> bool:
        return self.unknown or name in self.words

    def __bool__(self) -> bool:
        return self.unknown or bool(self.words)

    def note(self, content: Any) -> None:
        """Remember the words of a text, or of every text of a document."""
        pending = [content]
        for held in pending:  # which grows meanwhile
            if isinstance(held, str):
                self.words.update(word.rstrip(".-") for word in _WORD.findall(held))
                self.words.add(held)
            elif isinstance(held, dict):
                pending += held.values()
            elif isinstance(held, list):
                pending += held
