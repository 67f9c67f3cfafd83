"""An OpenAI-compatible service that judges answers: real HTTP on a socket of this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from .http import Answer, Request, as_json, serving

KEY = "fake-judge-key-of-tests"


def kind(material: dict[str, str]) -> str:
    """A reply in the form that is asked for: 5 for the expected answer, else 2."""
    return json.dumps({"reason": "because", "score": 5 if material["answer"] == material["expected"] else 2})


@dataclass(slots=True)
class FakeJudge:
    """The first chat requests get ``first``; after that a reply is what ``says`` makes of the material. A service that
    does not list its models says so to anybody, whatever the key."""

    says: Callable[[dict[str, str]], str] = kind
    first: Sequence[Answer] = ()
    lists: bool = True
    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, request: Request) -> Answer:
        with self.lock:
            self.requests.append(request)
            if request.path == "/v1/models" and not self.lists:
                return as_json({"error": {"message": "no such page"}}, 404)
            if request.bearer != KEY:
                return as_json({"error": {"message": f"Incorrect API key provided: {request.bearer}"}}, 401)
            if request.path == "/v1/models":
                return as_json({"object": "list", "data": [{"id": "judge-large", "object": "model"}]})
            if request.path != "/v1/chat/completions":
                return as_json({"error": {"message": "no such page"}}, 404)
            early = len(self.asked) < len(self.first)
            self.asked.append(json.loads(request.body))
            if early:
                return self.first[len(self.asked) - 1]
        content = self.says(self.material(self.asked.index(json.loads(request.body))))
        message = {"role": "assistant", "content": content}
        return as_json({"object": "chat.completion", "choices": [{"index": 0, "message": message}]})

    def material(self, number: int) -> dict[str, str]:
        """What the judge was given in its request of that number."""
        found: dict[str, str] = json.loads(self.asked[number]["messages"][1]["content"])
        return found


@contextmanager
def judge(
    says: Callable[[dict[str, str]], str] = kind, first: Sequence[Answer] = (), *, lists: bool = True
) -> Iterator[FakeJudge]:
    fake = FakeJudge(says, first, lists)
    with serving(fake.answer) as address:
        fake.url = f"{address}/v1"
        yield fake
