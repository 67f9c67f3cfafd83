"""Talking to a judge: an OpenAI-compatible service whose address and key stand in the environment."""

from __future__ import annotations

import json
import os
import random
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPMessage
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, Request, build_opener

from studio.core.errors import JobError
from studio.core.judge_names import key_variable, url_variable
from studio.core.secrets import redact

ATTEMPTS, SILENT_ATTEMPTS = 6, 2
"""In all, and of those that get no answer in time: what takes so long once mostly does again."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0
"""Pauses double from attempt to attempt; what the service itself asks for counts, up to the longest."""
ANSWER_SECONDS, GREETING_SECONDS = 120.0, 20.0
"""For a reply to a question, and to say that there is somebody."""
MOST_BYTES = 1 << 20
BUSY = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
"""Statuses that another attempt may change."""
REFUSING = frozenset({301, 302, 303, 307, 308, 401, 403, 404, 405})
"""Statuses that every row would get."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")
SHOWN = 300
"""Characters of a refusal that are told."""


class NoJudgement(Exception):
    """One row got no judgement; the text says why."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a judge is. The key is never shown."""

    name: str
    url: str
    key: str = field(repr=False)

    def ask(self, body: Mapping[str, Any], over: threading.Event) -> str:
        """What the service answers to a chat request. Raises NoJudgement when this row gets none, JobError when no
        row would. There is no further attempt once it is ``over``."""
        answer = self._patiently("/chat/completions", json.dumps(body).encode(), over)
        try:
            content = json.loads(answer)["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError, RecursionError):
            raise NoJudgement("the service's answer is not one of a chat") from None
        if not isinstance(content, str):
            raise NoJudgement("the judge said nothing")
        return content

    def reach(self, body: Mapping[str, Any] | None = None) -> None:
        """Raises JobError when nobody answers, or the key is refused: before anything costly is done. A service that
        does not list its models, as not every one does, is asked ``body``, if there is one; any reply will do."""
        try:
            self._patiently("/models", None, threading.Event())
        except NoJudgement:
            if body:
                with suppress(NoJudgement):
                    self.ask(body, threading.Event())

    def _patiently(self, path: str, body: bytes | None, over: threading.Event) -> bytes:
        seconds = ANSWER_SECONDS if body is not None else GREETING_SECONDS
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._once(path, body, seconds)
            except HTTPError as error:
                status, asked = error.code, error.headers.get("Retry-After")
                if status in REFUSING and not (body is None and status in (404, 405)):
                    raise self._refused(error) from None
                reason = f"the service answers {status}: {self._told(error)}"
                if status not in BUSY or attempt == ATTEMPTS:
                    raise NoJudgement(reason) from None
            except (OSError, HTTPException) as error:
                asked, silent = None, _is_silence(error)
                reason = f"the service is not reached: {redact(str(error))[:SHOWN]}"
                reason = f"the service does not answer within {seconds:g} s" if silent else reason
                if attempt >= (SILENT_ATTEMPTS if silent else ATTEMPTS):
                    raise self._unreached(body, reason) from None
            if over.wait(_pause(attempt, asked)):
                raise NoJudgement(f"asking ended early; {reason}")
        raise AssertionError("the last attempt returns or raises")

    def _once(self, path: str, body: bytes | None, seconds: float) -> bytes:
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self.key}"} if self.key else {})
        request = Request(self.url + path, body, headers, method="POST" if body is not None else "GET")
        with _opener().open(request, timeout=seconds) as response:
            answer: bytes = response.read(MOST_BYTES)
        return answer

    def _refused(self, error: HTTPError) -> JobError:
        named = f"the judge at {url_variable(self.name)}"
        if error.code in (401, 403):
            return JobError(
                f"{named} refuses the key: {error.code} {self._told(error)}",
                f"put a valid key in {key_variable(self.name)}",
            )
        return JobError(
            f"{named} answers {error.code}: {self._told(error)}",
            "the address is that of an OpenAI-compatible service, and usually ends in /v1",
        )

    def _unreached(self, body: bytes | None, reason: str) -> Exception:
        if body is not None:
            return NoJudgement(reason)
        return JobError(f"the judge at {url_variable(self.name)}: {reason}", "check the address, and that it runs")

    def _told(self, error: HTTPError) -> str:
        """What a refusal says, without the key, which some services repeat."""
        try:
            text = error.read(MOST_BYTES).decode(errors="replace")
        except (OSError, HTTPException):
            return ""
        hidden = text.replace(self.key, "***") if self.key else text
        return " ".join(redact(hidden).split())[:SHOWN]


def endpoint(name: str, environ: Mapping[str, str] = os.environ) -> Endpoint:
    """The endpoint that the environment names. Raises JobError when it names none, or the key could be read on its
    way there."""
    variable = url_variable(name)
    url, key = environ.get(variable, "").strip(), environ.get(key_variable(name), "").strip()
    if not url:
        raise JobError(
            f"a judge is asked for, and the environment variable {variable} is not set where the job runs",
            f"set it to the address of an OpenAI-compatible service, and {key_variable(name)} to its key",
        )
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.query:
        raise JobError(f"{variable} is not the address of a service", "write it as https://judges.example.com/v1")
    if key and parts.scheme != "https" and parts.hostname not in LOOPBACK:
        raise JobError(
            f"the address in {variable} is not https, so the key could be read on its way",
            f"use https, or unset {key_variable(name)} for a service without a key",
        )
    if not (key.isascii() and key.isprintable()) and key:  # the HTTP client would repeat it in its error
        raise JobError(
            f"{key_variable(name)} holds a character that no key has, such as a line break", "set it to the key alone"
        )
    return Endpoint(name, url.rstrip("/"), key)


def _is_silence(error: Exception) -> bool:
    """Whether nothing came in time, be it a connection or a reply."""
    return isinstance(error, TimeoutError) or isinstance(getattr(error, "reason", None), TimeoutError)


def _pause(attempt: int, asked: str | None) -> float:
    """Seconds before the next attempt; many that were refused at once do not come back at once."""
    seconds = (asked or "").strip()
    if seconds.isascii() and seconds.isdecimal():
        return min(float(seconds), LONGEST_PAUSE_SECONDS)
    doubled = FIRST_PAUSE_SECONDS * 2.0 ** (attempt - 1)
    return min(doubled, LONGEST_PAUSE_SECONDS) * random.uniform(0.5, 1.0)


def _opener() -> OpenerDirector:
    return build_opener(_Unmoved)


class _Unmoved(HTTPRedirectHandler):
    """A service that sends elsewhere is not followed: rows and key are for that address only."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        return None
