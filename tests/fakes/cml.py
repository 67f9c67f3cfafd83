"""A CML workspace on a local socket: paths, fields and error bodies of its REST API, version 2."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.http import Answer, Request, as_json, serving

KEY = "key-of-the-tests"
MODEL_ID = "abcd-1234-efgh-5678"
API = "/api/v2"


def refuse(status: int, code: int, message: str) -> Answer:
    """An error as the API's gateway writes it: ``code`` is gRPC's."""
    return as_json({"error": message, "code": code, "message": message}, status)


def registered_model(id: str, *versions: dict[str, Any], name: str = "support-llama") -> dict[str, Any]:
    """A RegisteredModel with these versions."""
    owner = {"username": "tests", "name": "Tests", "email": "tests@example.com"}
    return {
        "model_id": id, "name": name, "description": "", "owner": owner, "permission": "MANAGE",
        "visibility": "PRIVATE", "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        "count": len(versions), "next_page_token": "",
        "model_versions": [
            {"model_id": id, "model_version_id": f"{id}-v{at}", "version_name": f"v{at}", "number": at, "notes": "",
             "status": "REGISTERED", "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
             "tags": [], **version}
            for at, version in enumerate(versions, 1)
        ],
    }  # fmt: skip


def logged(experiment: str = "7", run: str = "0123456789abcdef0123456789abcdef") -> dict[str, Any]:
    """A version that was logged with MLflow."""
    ids = {"experiment_id": experiment, "run_id": run, "metrics": [], "params": [], "tags": []}
    return {"model_version_metadata": {"mlops_type": "MLFLOW", "tags": [], "mlflow_metadata": ids}}


@dataclass(slots=True)
class FakeWorkspace:
    """What the workspace holds and what it was asked. ``first`` are answers it gives before any other."""

    registered: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys: frozenset[str] = frozenset({KEY})
    url: str = ""
    requests: list[str] = field(default_factory=list)
    first: deque[Answer] = field(default_factory=deque)

    def answer(self, request: Request) -> Answer:
        self.requests.append(f"{request.method} {request.target}")
        if self.first:
            return self.first.popleft()
        if request.bearer not in self.keys:
            return refuse(401, 16, "Unauthenticated: the API key is missing or not valid")
        for method, pattern, route in ROUTES:
            found = re.fullmatch(API + pattern, request.path)
            if found and method == request.method:
                return route(self, request, *found.groups())
        return refuse(404, 5, "Not Found")


def _registered_model(workspace: FakeWorkspace, request: Request, id: str) -> Answer:
    if id not in workspace.registered:
        return refuse(404, 5, f"registered model {id} was not found")
    return as_json(workspace.registered[id])


def _registered_models(workspace: FakeWorkspace, request: Request) -> Answer:
    size, start = int(request.query.get("page_size", "10")), int(request.query.get("page_token", "0"))
    found = [workspace.registered[id] for id in sorted(workspace.registered)]
    details = [{key: value for key, value in each.items() if key != "model_versions"} for each in found]
    more = str(start + size) if start + size < len(found) else ""
    return as_json({"models": details[start : start + size], "next_page_token": more})


Route = Callable[..., Answer]
ROUTES: tuple[tuple[str, str, Route], ...] = (
    ("GET", "/registry/models", _registered_models),
    ("GET", "/registry/models/([^/]+)", _registered_model),
)
"""Method, path below ``/api/v2``, and what answers; groups of the path are arguments."""


@contextmanager
def workspace(*models: dict[str, Any]) -> Iterator[FakeWorkspace]:
    """A workspace with these registered models, until the block ends."""
    fake = FakeWorkspace({model["model_id"]: model for model in models})
    with serving(fake.answer) as fake.url:
        yield fake
