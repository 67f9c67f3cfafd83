"""What stands between the socket and the model: who may ask, how much, and a line of log for every request.

Browsers are kept out on purpose: no cross-origin header is ever sent, bodies must be declared as JSON, and on loopback
only loopback's own names are answered to, so that no web page reaches the model under a name of its own.
"""

from __future__ import annotations

import asyncio
import hmac
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send

from studio.core.secrets import redact
from studio.jobs.serving import openai_form, refusals
from studio.jobs.serving.flights import Gone
from studio.jobs.serving.refusals import Refusal

LARGEST_BODY = 1 << 20
"""Bytes; a hundred times what a prompt of any model here may have."""
BODY_SECONDS = 20.0
"""A body that takes longer is not waited for."""
OPEN = frozenset({"/health", "/ready"})
"""What is answered without a token: nothing but whether there is a server."""
GUIDE = frozenset({"/predict", "/model"})
"""Paths whose errors are in the form of a CML model, not of OpenAI."""
UNREAD = frozenset({401, 403, 404, 405, 408, 413, 415})
"""Refusals that come before a body was read: the connection ends with them, or the rest of it could come for ever."""
BELOW = "/*"
"""Ends a route that stands for every path below it."""
Handler = Callable[[Request], Awaitable[Response]]
Routes = Mapping[str, Mapping[str, Handler]]
"""Path to method to handler."""
NOTES = "studio.notes"
"""Key of a request's scope under which a handler leaves words for the log."""


@dataclass(frozen=True, slots=True)
class Door:
    """Who may come in. ``hosts`` are the names to answer to; None: any. ``token``: None for none."""

    token: bytes | None = field(default=None, repr=False)
    hosts: frozenset[str] | None = None

    def check(self, scope: Scope) -> None:
        """Raises Refusal for a stranger."""
        headers = _headers(scope)
        host = headers.get("host", "")
        if self.hosts is not None and _without_port(host) not in self.hosts:
            raise refusals.Forbidden("this server does not answer to the name in the Host header")
        if self.token is None or scope["path"] in OPEN:
            return
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not self.admits(given.strip()):
            raise refusals.Unauthorised("a token is needed", "send 'Authorization: Bearer TOKEN'")

    def admits(self, given: str) -> bool:
        """Whether that is the token; takes as long whatever is wrong with it."""
        return hmac.compare_digest(given.encode("latin-1", errors="replace"), self.token or b"")


@dataclass(frozen=True, slots=True)
class Front:
    """The outermost part of the application: lets in, turns errors into answers, and writes the log.

    The log holds neither prompts nor tokens nor query strings; of a path that is not served, nothing.
    """

    routes: Routes
    door: Door
    log: Callable[[str], None]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, status = time.perf_counter(), 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._inside(scope, receive, noting)
        except (Gone, ClientDisconnect):
            scope[NOTES] = "the client hung up"
        finally:
            self._note(scope, status, time.perf_counter() - started)

    async def _inside(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self.door.check(scope)
            response = await self._handler(scope)(Request(scope, receive))
        except Refusal as refusal:
            response = refused(scope["path"], refusal)
        except (Gone, ClientDisconnect):
            raise
        except Exception as error:
            response = refused(scope["path"], bug(error))
        await response(scope, receive, send)

    def _handler(self, scope: Scope) -> Handler:
        methods = self.routes.get(_route(scope["path"], self.routes))
        if methods is None:
            raise refusals.NotFound("there is nothing at this path", "GET /v1/models, POST /predict and others are")
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        if method not in methods:
            raise refusals.WrongMethod(next(iter(methods)))
        return methods[method]

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        client, now = scope.get("client"), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        path = _route(scope["path"], self.routes) or "(no such path)"
        method = scope["method"] if scope["method"] in ("GET", "POST", "HEAD") else "(other)"
        words = [now, client[0] if client else "-", method, path, str(status or "-"), f"{seconds:.2f}s"]
        self.log(" ".join([*words, *([scope[NOTES]] if NOTES in scope else [])]))


def refused(path: str, refusal: Refusal) -> JSONResponse:
    """An error, in the form that the path's clients know."""
    headers = {"WWW-Authenticate": "Bearer"} if refusal.status == 401 else {}
    if refusal.status in UNREAD:
        headers["Connection"] = "close"
    if refusal.status in (429, 503):
        headers["Retry-After"] = "1"
    if isinstance(refusal, refusals.WrongMethod):
        headers["Allow"] = refusal.allowed
    guide = {"success": False, "errors": refusal.words}
    content = guide if path in GUIDE else openai_form.error(refusal)
    return JSONResponse(content, refusal.status, headers)


async def body_of(request: Request) -> bytes:
    """The body, if it is JSON by its own account, not too large, and comes soon enough."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise refusals.WrongType("the body must be JSON", "send 'Content-Type: application/json'")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise refusals.WrongType("a compressed body is not read", "send it as it is")
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared[:20]) > LARGEST_BODY:
        raise _too_large()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _read(request)
    except TimeoutError:
        raise refusals.TooSlow(f"the body did not come within {BODY_SECONDS:g} s") from None


async def _read(request: Request) -> bytes:
    found = bytearray()
    async for part in request.stream():
        found += part
        if len(found) > LARGEST_BODY:
            raise _too_large()
    return bytes(found)


def _too_large() -> Refusal:
    return refusals.TooLarge(f"the body has more than {LARGEST_BODY} bytes", "send a shorter prompt")


def _route(path: str, routes: Routes) -> str:
    """The route that a path is on; "" for none."""
    if path in routes:
        return path
    return next((route for route in routes if route.endswith(BELOW) and path.startswith(route[:-1])), "")


def bug(error: Exception) -> Refusal:
    """What a client is told of a fault of our own; where it happened goes to standard error."""
    print(redact("".join(traceback.format_exception(error))), file=sys.stderr, flush=True)
    return refusals.Bug()


def _headers(scope: Scope) -> Mapping[str, str]:
    """The first of each."""
    pairs: list[tuple[bytes, bytes]] = scope["headers"]
    found: dict[str, Any] = {}
    for name, value in pairs:
        found.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
    return found


def _without_port(host: str) -> str:
    """``[::1]:8000`` and ``localhost:8000`` without their port, in lower case."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower().rstrip(".")
