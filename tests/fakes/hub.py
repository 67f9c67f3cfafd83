"""A Hugging Face Hub on a local socket: the real protocol, for clients that are pointed at it with HF_ENDPOINT.

It answers repository information (``/api/models/NAME``, ``/api/datasets/NAME``, each also at a revision), the tree of
files, and the files themselves, with the hub's own status codes and ``X-Error-Code`` headers.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fakes.http import Answer, Request, as_json
from tests.fakes.http import serving as answering

COMMIT = "8f0e3c1b5d7a9e2f4c6b8a0d1e3f5a7c9b2d4e6f"
_API = re.compile(
    r"/api/(?P<type>models|datasets)/(?P<name>.+?)(?:/(?P<what>revision|tree)/(?P<revision>[^/]+)(?:/(?P<below>.+))?)?"
)
_FILE = re.compile(r"/(?:(?P<type>datasets)/)?(?P<name>.+?)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")


@dataclass(frozen=True, slots=True)
class Repo:
    """A repository with one commit. ``token`` is needed to see a gated or private one; ``broken`` answers 500."""

    sha: str = COMMIT
    files: dict[str, bytes] = field(default_factory=dict)
    card: dict[str, Any] = field(default_factory=dict)
    revisions: tuple[str, ...] = ("main",)
    gated: bool = False
    private: bool = False
    broken: bool = False

    @classmethod
    def of(cls, folder: Path, *, gated: bool = False) -> Repo:
        """A repository with the files of a folder."""
        return cls(files={path.name: path.read_bytes() for path in folder.iterdir()}, gated=gated)


@dataclass(slots=True)
class FakeHub:
    """What the hub holds, by (``models`` or ``datasets``, name), and what it was asked."""

    repos: dict[tuple[str, str], Repo]
    tokens: frozenset[str] = frozenset({"good-token"})
    url: str = ""
    requests: list[str] = field(default_factory=list)

    def answer(self, request: Request) -> Answer:
        self.requests.append(f"{request.method} {request.target}")
        path, token = request.path, request.bearer
        found = _API.fullmatch(path) or _FILE.fullmatch(path)
        if found is None:
            return refuse(404, "EntryNotFound", "not found")
        if token and token not in self.tokens:
            return refuse(401, "", "Invalid credentials in Authorization header")
        parts = found.groupdict()
        repo = self.repos.get((parts["type"] or "models", parts["name"]))
        return _denied(repo, parts.get("revision"), bool(token)) or _content(repo or Repo(), parts)


def refuse(status: int, code: str, message: str) -> Answer:
    headers = {"X-Error-Message": message, "Content-Type": "application/json"}
    return Answer(status, headers | ({"X-Error-Code": code} if code else {}), json.dumps({"error": message}).encode())


def _denied(repo: Repo | None, revision: str | None, known_caller: bool) -> Answer | None:
    if repo is None or (repo.private and not known_caller):  # who has no token is not told which
        return refuse(404 if known_caller else 401, "RepoNotFound", "Repository not found")
    if repo.broken:
        return refuse(500, "", "Internal Error")
    if repo.gated and not known_caller:
        return refuse(401, "GatedRepo", "Access to this repository is restricted")
    if revision and revision not in (*repo.revisions, repo.sha):
        return refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
    return None


def _content(repo: Repo, parts: dict[str, str | None]) -> Answer:
    if "file" in parts:
        return _file(repo, parts["file"] or "")
    if parts["below"]:
        return refuse(404, "EntryNotFound", "Entry not found")
    described: Any = _tree(repo) if parts["what"] == "tree" else _info(repo, parts["name"] or "")
    return as_json(described)


def _info(repo: Repo, name: str) -> dict[str, Any]:
    return {
        "_id": "0" * 24,
        "id": name,
        "modelId": name,
        "sha": repo.sha,
        "private": repo.private,
        "gated": "manual" if repo.gated else False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": [],
        "cardData": repo.card,
        "siblings": [{"rfilename": file} for file in sorted(repo.files)],
        "createdAt": "2024-01-01T00:00:00.000Z",
        "lastModified": "2024-01-01T00:00:00.000Z",
    }


def _tree(repo: Repo) -> list[dict[str, Any]]:
    files = sorted(repo.files.items())
    return [{"type": "file", "oid": _oid(body), "size": len(body), "path": file} for file, body in files]


def _file(repo: Repo, name: str) -> Answer:
    if name not in repo.files:
        return refuse(404, "EntryNotFound", "Entry not found")
    body = repo.files[name]
    return Answer(200, {"X-Repo-Commit": repo.sha, "ETag": f'"{_oid(body)}"', "Accept-Ranges": "bytes"}, body)


def _oid(body: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()


@contextmanager
def serving(repos: dict[tuple[str, str], Repo]) -> Iterator[FakeHub]:
    """A hub with these repositories on a free port of this machine, until the block ends."""
    hub = FakeHub(repos)
    with answering(hub.answer) as hub.url:
        yield hub
