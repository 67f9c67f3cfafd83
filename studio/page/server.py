"""Serves the page to this machine: GET and HEAD of four paths, no action, no file."""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from studio.page import html
from studio.page.content import Source
from studio.report.html.markup import POLICY

HOST = "127.0.0.1"
"""Only: what reaches the page from elsewhere has come through the workspace, which asks who it is."""
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": f"{POLICY}; frame-ancestors 'self'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
LONGEST_SECONDS = 30.0
"""A client that says nothing for so long is let go."""


def server(port: int, name: str, source: Source) -> ThreadingHTTPServer:
    """A server that is ready to serve; 0 takes any free port."""

    def as_data(key: str) -> str:
        content = source.content()
        return json.dumps({key: content[key], "fault": content["fault"]}, sort_keys=True)

    pages: dict[str, tuple[str, Callable[[], str]]] = {
        "/": ("text/html; charset=utf-8", lambda: html.page(name, source.content())),
        "/status.json": ("application/json", lambda: as_data("status")),
        "/history.json": ("application/json", lambda: as_data("history")),
        "/health": ("text/plain; charset=utf-8", lambda: "ok\n"),
    }

    class Handler(_Handler):
        served = pages

    return ThreadingHTTPServer((HOST, port), Handler)


class _Handler(BaseHTTPRequestHandler):
    served: dict[str, tuple[str, Callable[[], str]]]
    timeout = LONGEST_SECONDS
    server_version, sys_version = "studio", ""

    def do_GET(self) -> None:
        kind, make = self.served.get(self.path.partition("?")[0], ("", str))
        if not kind:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        body = make().encode()
        self.send_response(HTTPStatus.OK)
        for header, value in {"Content-Type": kind, "Content-Length": str(len(body)), **HEADERS}.items():
            self.send_header(header, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, format: str, *values: object) -> None:
        """Nothing: a page that is fetched every few seconds would fill the log of the application."""
