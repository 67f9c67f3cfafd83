"""What became of endpoints, as the workspace tells it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from studio.backends.base import Backend, EndpointHost, EndpointLook
from studio.plan.drift import Sort, Subject


def look(backend: Backend, subjects: Iterable[Subject]) -> dict[Subject, Any]:
    """What is known of them; nothing where the backend serves nothing. Raises BackendError."""
    if not isinstance(backend, EndpointHost):
        return {}
    models = dict.fromkeys(subject.key[:2] for subject in subjects)
    found = {model: _facts(backend.look(model[1])) for model in models}
    return {Subject(Sort.ENDPOINT, (*model, fact)): value for model in models for fact, value in found[model].items()}


def _facts(seen: EndpointLook | None) -> dict[str, Any]:
    """The facts of an endpoint as they are now (``state.endpoints.facts``); None for what is not there.

    Of one that is about to be up, or to go, the status is told neither way.
    """
    if seen is None:
        return {"endpoint": None}
    found: dict[str, Any] = {
        "endpoint": "there",
        "endpoint.build": seen.build or None,
        "endpoint.description": seen.description,
        "endpoint.authentication": seen.authentication,
    }
    if seen.size:
        found["endpoint.size"] = str(seen.size)
    return found | ({"endpoint.status": seen.status or None} if seen.is_settled else {})
