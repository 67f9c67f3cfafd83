"""Questions to a REST API that wants a key: bounded in time and size, asked again only when that can help."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from studio.load.deadline import within

DEADLINE_SECONDS = 30.0
AWAY_SECONDS = 4.0
"""The same for a server of which nothing was heard at all: there may be no network."""
REQUEST_SECONDS = 10.0
FIRST_PAUSE_SECONDS = 0.5
MAX_BYTES = 8 << 20
BUSY = 429


@dataclass(frozen=True, slots=True)
class Answer:
    """``status`` is HTTP's; 0 when there was no answer or none in JSON. ``content`` is there for 200 to 299 only."""

    status: int
    content: Any = None


NO_ANSWER = Answer(0)


@dataclass(frozen=True, slots=True)
class Client:
    """``url`` is scheme and host. The key goes nowhere else: redirections are not followed."""

    url: str
    key: str = field(repr=False)
    clock: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random

    def get(self, path: str) -> Answer:
        """What is behind a path. Asked again while the server is busy, broken or away, until the deadline."""
        start = self.clock()
        end, pauses = start + AWAY_SECONDS, self._pauses()
        while True:
            answer, wait = self._once(path, end)
            if wait is None:
                return answer
            if answer.status:
                end = start + DEADLINE_SECONDS
            rest = max(wait, next(pauses))
            if self.clock() + rest >= end:
                return answer
            self.pause(rest)

    def _pauses(self) -> Iterator[float]:
        """Doubling, each between half and all of itself, so that many clients do not come back at once."""
        longest = FIRST_PAUSE_SECONDS
        while True:
            yield longest * (1 + self.jitter()) / 2
            longest *= 2

    def _once(self, path: str, end: float) -> tuple[Answer, float | None]:
        """The answer, and for how many seconds at least to wait before asking again; None when it is final."""
        headers = {"Authorization": f"Bearer {self.key}", "Accept": "application/json"}
        timeout = max(0.1, min(REQUEST_SECONDS, end - self.clock()))
        try:
            request, opener = Request(self.url + path, headers=headers), build_opener(_NoRedirect)
            with within(timeout + 1, lambda: opener.open(request, timeout=timeout)) as response:
                return Answer(response.status, json.loads(self._body(response, end))), None
        except HTTPError as error:
            with error:
                again = error.code == BUSY or error.code >= 500
                return Answer(error.code), _seconds(error.headers.get("Retry-After")) if again else None
        except (HTTPException, OSError):
            return NO_ANSWER, 0.0
        except (ValueError, RecursionError):  # a key that is no header, or an answer that is not JSON
            return NO_ANSWER, None

    def _body(self, response: Any, end: float) -> bytes:
        """Raises TimeoutError for an answer that trickles, ValueError for one without end."""
        body = b""
        while chunk := response.read1(1 << 16):
            body += chunk
            if self.clock() > end:
                raise TimeoutError
            if len(body) > MAX_BYTES:
                raise ValueError("the answer is too long")
        return body


class _NoRedirect(HTTPRedirectHandler):
    """Turns a redirection into the answer itself."""

    def redirect_request(self, *arguments: Any) -> None:
        return None


def _seconds(header: str | None) -> float:
    return float(header) if header and header.isascii() and header.isdigit() else 0.0
