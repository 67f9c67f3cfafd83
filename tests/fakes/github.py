"""GitHub's REST API on a local socket, as far as comments go: real HTTP, paging, limits and refusals.

Answers ``GET /user``, ``GET`` and ``POST /repos/OWNER/REPO/issues/N/comments`` and
``PATCH /repos/OWNER/REPO/issues/comments/ID`` with GitHub's status codes and messages.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

LONGEST = 65_536
BOT = {"login": "github-actions[bot]", "type": "Bot"}
_LIST = re.compile(r"/repos/owner/desk/issues/(?P<issue>\d+)/comments")
_ONE = re.compile(r"/repos/owner/desk/issues/comments/(?P<comment>\d+)")
Comment = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    content: Any
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trouble:
    """An answer in place of the next one to ``method``; with ``performed``, the request is carried out all the same."""

    method: str
    answer: Answer
    performed: bool = False


@dataclass(slots=True)
class FakeGitHub:
    """Comments of pull request 7 of owner/desk. A token that may not write gets what a fork's token gets."""

    comments: list[Comment] = field(default_factory=list)
    may_write: bool = True
    tokens: dict[str, dict[str, str]] = field(default_factory=lambda: {"job-token": BOT})
    trouble: list[Trouble] = field(default_factory=list)
    url: str = ""
    requests: list[str] = field(default_factory=list)

    @property
    def writes(self) -> list[str]:
        return [request for request in self.requests if not request.startswith("GET")]

    def add(self, body: str, login: str = "visitor", kind: str = "User") -> Comment:
        """A comment that somebody wrote."""
        number = 1 + max((comment["id"] for comment in self.comments), default=1000)
        self.comments.append({"id": number, "body": body, "user": {"login": login, "type": kind}})
        return self.comments[-1]

    def answer(self, method: str, target: str, token: str, body: bytes) -> Answer:
        self.requests.append(f"{method} {target}")
        planned = next((trouble for trouble in self.trouble if trouble.method == method), None)
        if planned:
            self.trouble.remove(planned)
            if planned.performed:
                self._perform(method, target, token, body)
            return planned.answer
        return self._perform(method, target, token, body)

    def _perform(self, method: str, target: str, token: str, body: bytes) -> Answer:
        user = self.tokens.get(token)
        if user is None:
            return Answer(401, {"message": "Bad credentials"})
        parts = urlsplit(target)
        if method == "GET" and parts.path == "/user":
            return Answer(403, _FORBIDDEN) if user["type"] == "Bot" else Answer(200, user)
        if method == "GET" and _LIST.fullmatch(parts.path):
            return self._page(parts.path, parse_qs(parts.query))
        one, every = _ONE.fullmatch(parts.path), _LIST.fullmatch(parts.path)
        if not (method == "POST" and every) and not (method == "PATCH" and one):
            return Answer(404, {"message": "Not Found"})
        return self._write(int(one["comment"]) if one else None, user, json.loads(body)["body"])

    def _page(self, path: str, query: dict[str, list[str]]) -> Answer:
        size, number = min(100, int(query["per_page"][0])), int(query["page"][0])
        shown = self.comments[(number - 1) * size : number * size]
        more = number * size < len(self.comments)
        link = {"Link": f'<{self.url}{path}?per_page={size}&page={number + 1}>; rel="next"'} if more else {}
        return Answer(200, shown, link)

    def _write(self, number: int | None, user: dict[str, str], body: str) -> Answer:
        if not self.may_write:
            return Answer(403, _FORBIDDEN)
        if len(body) > LONGEST:
            return Answer(422, {"message": "Validation Failed: Body is too long (maximum is 65536 characters)"})
        if number is None:
            return Answer(201, self.add(body, user["login"], user["type"]))
        found = next((comment for comment in self.comments if comment["id"] == number), None)
        if found is None:
            return Answer(404, {"message": "Not Found"})
        found["body"] = body
        return Answer(200, found)


_FORBIDDEN = {"message": "Resource not accessible by integration"}


@contextmanager
def serving() -> Iterator[FakeGitHub]:
    """GitHub on a free port of this machine, until the block ends."""
    github = FakeGitHub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = github.answer(self.command, self.path, token, body)
            content = json.dumps(answer.content).encode()
            self.send_response(answer.status)
            for header, value in {**answer.headers, "Content-Length": str(len(content))}.items():
                self.send_header(header, value)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_PATCH = do_GET

        def log_message(self, format: str, *arguments: Any) -> None:
            """Say nothing on the terminal of a test run."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    github.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield github
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
