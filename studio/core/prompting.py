"""How a job makes texts, or conversations, of rows."""

from __future__ import annotations

from studio.core.record import Record


class Chat(Record):
    """How rows become conversations."""

    messages: str = ""
    """The column that holds them; "" where input and completion are the turns of user and assistant."""
    system: str = ""
    """Template of the turn before those."""
    template: str = ""
    """Jinja that writes conversations as text; "" for the tokenizer's own."""


class Templates(Record):
    """A prompt's three templates; ``core.templates`` fills them. With ``chat`` there is no ``prompt``."""

    prompt: str
    input: str = ""
    completion: str = ""
    chat: Chat | None = None

    def trained(self, loss: str) -> tuple[str, str]:
        """What a row shows and what it teaches: two parts for completion-only loss, else the whole text teaches."""
        both = loss == "completion" and self.input and self.completion
        return (self.input, self.completion) if both else ("", self.prompt)
