"""Answers in OpenAI's words: whole, in chunks, and as errors."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any, Literal

from studio.jobs.serving.answering import Answer
from studio.jobs.serving.refusals import Refusal

DONE = b"data: [DONE]\n\n"
"""Ends a stream that went well."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply, whose id and time all its chunks share."""

    form: Literal["chat", "completion"]
    model: str
    id: str = field(default_factory=lambda: secrets.token_hex(12))
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, answer: Answer) -> dict[str, Any]:
        """The body of a reply that is not streamed."""
        said: dict[str, Any] = {"text": answer.text}
        if self.form == "chat":
            said = {"message": {"role": "assistant", "content": answer.text, "refusal": None}}
        choice = {"index": 0, **said, "finish_reason": answer.reason.value, "logprobs": None}
        kind = "chat.completion" if self.form == "chat" else "text_completion"
        return {**self._head(kind), "choices": [choice], "usage": self._usage(answer)}

    def first(self) -> list[bytes]:
        """What a stream begins with."""
        return [self._chunk({"role": "assistant", "content": ""}, None)] if self.form == "chat" else []

    def piece(self, text: str) -> bytes:
        """Some more text."""
        return self._chunk({"content": text}, None) if self.form == "chat" else self._chunk({"text": text}, None)

    def last(self, answer: Answer, usage: bool) -> list[bytes]:
        """Why it ended, what it took if that was asked for, and the end."""
        end = self._chunk({} if self.form == "chat" else {"text": ""}, answer.reason.value)
        took = [event({**self._head(self._streamed), "choices": [], "usage": self._usage(answer)})] if usage else []
        return [end, *took, DONE]

    @property
    def _streamed(self) -> str:
        return "chat.completion.chunk" if self.form == "chat" else "text_completion"

    def _chunk(self, said: dict[str, Any], reason: str | None) -> bytes:
        fresh = {"delta": said} if self.form == "chat" else said
        choice = {"index": 0, **fresh, "finish_reason": reason, "logprobs": None}
        return event({**self._head(self._streamed), "choices": [choice]})

    def _head(self, kind: str) -> dict[str, Any]:
        prefix = "chatcmpl" if self.form == "chat" else "cmpl"
        return {"id": f"{prefix}-{self.id}", "object": kind, "created": self.created, "model": self.model}

    def _usage(self, answer: Answer) -> dict[str, int]:
        total = answer.prompt_tokens + answer.tokens
        return {"prompt_tokens": answer.prompt_tokens, "completion_tokens": answer.tokens, "total_tokens": total}


def event(content: dict[str, Any]) -> bytes:
    """One server-sent event (WHATWG HTML, Server-sent events); JSON holds no line break of its own."""
    return b"data: " + json.dumps(content, ensure_ascii=False).encode() + b"\n\n"


def error(refusal: Refusal) -> dict[str, Any]:
    """An error as OpenAI's clients read it."""
    return {
        "error": {
            "message": refusal.words,
            "type": refusal.kind,
            "param": refusal.param,
            "code": refusal.code,
        }
    }
