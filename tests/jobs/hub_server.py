"""A stand-in for the Hugging Face Hub: real HTTP, one repository at one commit, from a folder."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "c0ffee" + "0" * 34
TOKEN = "hf_only_for_tests"


class _Handler(BaseHTTPRequestHandler):
    folder: Path
    name: str
    gated: bool
    asked: list[str]

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.asked.append(path)
        if self.name not in path:
            self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif self.gated and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._send(403, b"{}", {"X-Error-Code": "GatedRepo"})
        elif path.startswith("/api/"):
            self._api(path.partition(self.name)[2].strip("/"))
        else:
            revision, _, file = path.split("/resolve/", 1)[1].partition("/")
            self._file(revision, file)

    def _api(self, rest: str) -> None:
        what, _, place = rest.partition("/")
        revision, _, below = place.partition("/")
        if revision and revision not in (COMMIT, "main"):
            self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        elif below:
            self._send(404, b"{}", {"X-Error-Code": "EntryNotFound"})
        elif what == "tree":
            files = [self._entry(path) for path in sorted(self.folder.iterdir())]
            self._send(200, json.dumps(files).encode(), {})
        else:
            siblings = [{"rfilename": path.name} for path in sorted(self.folder.iterdir())]
            info = {"id": self.name, "modelId": self.name, "sha": COMMIT, "siblings": siblings, "tags": []}
            self._send(200, json.dumps(info).encode(), {})

    def _entry(self, path: Path) -> dict[str, Any]:
        content = path.read_bytes()
        return {"type": "file", "path": path.name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}

    def _file(self, revision: str, file: str) -> None:
        path = self.folder / file
        if revision not in (COMMIT, "main"):
            self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
        elif not path.is_file():
            self._send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        else:
            content = path.read_bytes()
            tag = hashlib.sha1(content).hexdigest()
            self._send(200, content, {"ETag": f'"{tag}"', "X-Repo-Commit": COMMIT})

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing: the tests read what was asked from ``asked``."""


@contextmanager
def serving(folder: Path, name: str, gated: bool = False) -> Iterator[tuple[str, list[str]]]:
    """The server's address, and the paths it was asked for."""
    asked: list[str] = []
    handler = type("Handler", (_Handler,), {"folder": folder, "name": name, "gated": gated, "asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
