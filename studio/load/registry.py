"""The model registry of a CML workspace, asked only with ``--online`` or by apply: its REST API, version 2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from studio.load import disclosure, workspaces
from studio.load.settings import Backend
from studio.load.workspaces import KEY_VARIABLE


class RegistryFault(StrEnum):
    """Why the registry gave no answer; each calls for a different cure."""

    NOT_FOUND = "not-found"
    NEEDS_KEY = "needs-key"
    UNREACHABLE = "unreachable"
    NOT_CONFIGURED = "not-configured"
    NOT_ALLOWED = "not-allowed"


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """What the registry says of a model. The MLflow ids are those of its first version; "" when it has none."""

    name: str
    versions: int
    experiment_id: str = ""
    run_id: str = ""


@dataclass(frozen=True, slots=True)
class Registry:
    """``url`` is the workspace's address, "" when there is none to ask. Each question is asked once, and none of a
    workspace that has not answered within the deadline: a hundred models must not wait for it a hundred times."""

    url: str
    key: str = field(repr=False)
    key_variable: str = KEY_VARIABLE
    refusal: str = ""
    """Why the key must not be sent there; then nothing is asked."""
    _answers: dict[str, RegisteredModel | RegistryFault] = field(default_factory=dict, compare=False, repr=False)

    def model(self, id: str) -> RegisteredModel | RegistryFault:
        if id not in self._answers:
            away = RegistryFault.UNREACHABLE in self._answers.values()
            self._answers[id] = RegistryFault.UNREACHABLE if away else self._ask(id)
        return self._answers[id]

    def _ask(self, id: str) -> RegisteredModel | RegistryFault:
        from studio.load.rest import Client  # with TLS and all: only for who asks

        if not self.url:
            return RegistryFault.NOT_CONFIGURED
        if self.refusal:
            return RegistryFault.NOT_ALLOWED
        if not self.key:
            return RegistryFault.NEEDS_KEY
        answer = Client(self.url, self.key).get(f"/api/v2/registry/models/{quote(id, safe='')}")
        match answer.status:
            case 200:
                return _registered(answer.content)
            case 400 | 404 | 410:  # 400: the id is not of the form that ids have
                return RegistryFault.NOT_FOUND
            case 401 | 403:
                return RegistryFault.NEEDS_KEY
            case _:
                return RegistryFault.UNREACHABLE


def registry(backend: Backend, environ: Mapping[str, str]) -> Registry:
    """The registry of the workspace that studio.yaml names, else of the one that the environment names."""
    url, variable = workspaces.address(backend, environ), workspaces.key_variable(backend)
    refusal = disclosure.refusal(url, variable, environ) if url else ""
    return Registry(url, "" if refusal else environ.get(variable, ""), variable, refusal)


def _registered(content: Any) -> RegisteredModel | RegistryFault:
    """Guide, Model Import: the first version's ``model_version_metadata.mlflow_metadata``."""
    if not isinstance(content, dict) or "model_id" not in content:
        return RegistryFault.UNREACHABLE  # something answers there, but not this API
    versions = content.get("model_versions")
    versions = versions if isinstance(versions, list) else []
    mlflow: Any = versions[0] if versions else {}
    for key in ("model_version_metadata", "mlflow_metadata"):
        mlflow = mlflow.get(key) if isinstance(mlflow, dict) else None
    ids = mlflow if isinstance(mlflow, dict) else {}
    experiment, run = (str(ids.get(key) or "") for key in ("experiment_id", "run_id"))
    return RegisteredModel(str(content.get("name") or ""), len(versions), experiment, run)
