"""GitHub's REST API for what the action needs, with patience: server errors and rate limits are waited out."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from http.client import HTTPException
from typing import Any

ATTEMPTS = 4
LONGEST_WAIT = 60.0
"""Seconds; a rate limit that lasts longer is not waited for."""
TIMEOUT = 30.0


class RefusedError(Exception):
    """GitHub understood and said no. ``status`` is the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"GitHub answered {status}: {message}")
        self.status = status


class UnavailableError(Exception):
    """GitHub did not answer, or only with errors of its own; a write may or may not have happened."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Message
    content: Any


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A token is sent to the address it was meant for, and to no other."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


@dataclass(slots=True)
class GitHub:
    """The API at ``url``, on behalf of ``token``."""

    url: str
    token: str
    sleep: Callable[[float], None] = time.sleep
    opener: urllib.request.OpenerDirector = field(default_factory=lambda: urllib.request.build_opener(_NoRedirects))

    def call(self, method: str, path: str, content: Any = None, *, attempts: int = ATTEMPTS) -> Answer:
        """One call. Rate limits are always waited for; errors of the server only as often as ``attempts`` says."""
        limited = 0
        while True:
            attempts -= 1
            try:
                answer = self._send(method, path, content)
            except (OSError, HTTPException, ValueError) as error:
                if attempts <= 0:
                    raise UnavailableError(f"GitHub cannot be reached: {error}") from error
                self.sleep(_pause(attempts))
                continue
            wait = _rate_limit(answer)
            if wait is not None:
                limited, attempts = limited + 1, attempts + 1
                if limited >= ATTEMPTS or wait > LONGEST_WAIT:
                    raise UnavailableError(f"GitHub's rate limit is reached, and lasts another {wait:.0f} seconds")
                self.sleep(wait)
            elif answer.status >= 500:
                if attempts <= 0:
                    raise UnavailableError(f"GitHub answered {answer.status}: {_message(answer)}")
                self.sleep(_pause(attempts))
            elif answer.status >= 300:
                raise RefusedError(answer.status, _message(answer))
            else:
                return answer

    def pages(self, path: str) -> Iterator[Any]:
        """The items of a list, page after page."""
        number = 1
        while True:
            answer = self.call("GET", f"{path}?per_page=100&page={number}")
            yield from answer.content
            if 'rel="next"' not in answer.headers.get("Link", ""):
                return
            number += 1

    def _send(self, method: str, path: str, content: Any) -> Answer:
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {self.token}",
            "User-Agent": "fine-tuning-studio",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        data = None if content is None else json.dumps(content).encode()
        if data is not None:
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with self.opener.open(request, timeout=TIMEOUT) as response:
                return Answer(response.status, response.headers, json.load(response))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read(10_000))


def _pause(attempts_left: int) -> float:
    """1, 2, 4 seconds."""
    return float(2 ** (ATTEMPTS - 1 - attempts_left))


def _rate_limit(answer: Answer) -> float | None:
    """Seconds to wait when a rate limit is reached, else None (GitHub documentation, rate limits of the REST API)."""
    exhausted = answer.headers.get("X-RateLimit-Remaining") == "0"
    after = answer.headers.get("Retry-After", "")
    if answer.status != 429 and not (answer.status == 403 and (exhausted or after)):
        return None
    if after.isdecimal():
        return float(after)
    reset = answer.headers.get("X-RateLimit-Reset", "")
    return max(0.0, float(reset) - time.time()) + 1 if exhausted and reset.isdecimal() else LONGEST_WAIT


def _message(answer: Answer) -> str:
    """What GitHub said, without markup, on one line."""
    try:
        said = json.loads(answer.content)["message"]
    except (ValueError, KeyError, TypeError):
        return "no explanation"
    return " ".join(str(said).split())[:300]
