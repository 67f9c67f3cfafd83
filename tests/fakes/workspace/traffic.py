"""What a workspace was asked, kept without loss: to count, to search for secrets, to find what was asked again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.fakes.http import Request

BUSY = 429


@dataclass(slots=True, eq=False)
class Call:
    """One request and what became of it. ``method`` is "" when no method has that path; ``status`` is 0 until there
    is an answer, and stays 0 when the connection was closed without one. ``fault`` is the name of an injected one."""

    method: str
    request: Request
    status: int = 0
    fault: str = ""

    @property
    def line(self) -> str:
        return f"{self.request.method} {self.request.target}"

    @property
    def sent(self) -> bytes:
        """All that came over the wire but the authorization, which every request carries."""
        kept = [f"{name}: {value}" for name, value in self.request.headers.items() if name.lower() != "authorization"]
        return "\n".join([self.line, *kept, ""]).encode() + self.request.body


def asked_again_after_a_refusal(calls: Sequence[Call]) -> list[str]:
    """Requests that were sent once more, unchanged, although the first got a 4xx (but 429: too many)."""
    refused: set[tuple[str, bytes]] = set()
    again = []
    for call in calls:
        key = (call.line, call.request.body)
        if key in refused:
            again.append(call.line)
        if 400 <= call.status < 500 and call.status != BUSY:
            refused.add(key)
    return again
