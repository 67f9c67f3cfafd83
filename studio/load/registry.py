"""The model registry of a CML workspace, asked only with ``--online`` or by apply: its REST API, version 2."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import quote, urlencode

from studio.load import disclosure, workspaces
from studio.load.answers import Answers
from studio.load.settings import Backend
from studio.load.workspaces import KEY_VARIABLE

MAX_PAGES = 50
"""Of the versions of one model."""
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}\Z")
"""Of MLflow's experiments and runs. They become parts of addresses and folder names; what else there is, is none."""


class RegistryFault(StrEnum):
    """Why the registry gave no answer; each calls for a different cure."""

    NOT_FOUND = "not-found"
    NEEDS_KEY = "needs-key"
    UNREACHABLE = "unreachable"
    NOT_CONFIGURED = "not-configured"
    NOT_ALLOWED = "not-allowed"


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """What the registry says of a model. The MLflow ids are those of its first version; "" when it has none.

    ``runs`` are the MLflow runs of all versions, "" for one that was not logged with MLflow.
    """

    name: str
    versions: int
    experiment_id: str = ""
    run_id: str = ""
    runs: tuple[str, ...] = ()


def registered_id(spec: Mapping[str, Any]) -> str:
    """The id to ask about, from a resource's spec or a recorded one; "" for what is not in a registry."""
    return (spec.get("cml_registered_model_id") or "").strip() if spec.get("type") == "model_registry" else ""


@dataclass(frozen=True, slots=True)
class Registry:
    """``url`` is the workspace's address, "" when there is none to ask. Each question is asked once, and none of a
    workspace that has not answered within the deadline: a hundred models must not wait for it a hundred times.
    ``kept`` holds answers of earlier commands. Threads may ask at the same time."""

    url: str
    key: str = field(repr=False)
    key_variable: str = KEY_VARIABLE
    refusal: str = ""
    """Why the key must not be sent there; then nothing is asked."""
    kept: Answers = field(default_factory=Answers, compare=False, repr=False)
    _answers: dict[str, RegisteredModel | RegistryFault] = field(default_factory=dict, compare=False, repr=False)

    def model(self, id: str) -> RegisteredModel | RegistryFault:
        if id not in self._answers:
            self._answers[id] = self._lack() or _from_json(self.kept.recall((id,))) or self._new(id)
        return self._answers[id]

    def _lack(self) -> RegistryFault | None:
        """Why nothing can be asked."""
        if not self.url:
            return RegistryFault.NOT_CONFIGURED
        if self.refusal:
            return RegistryFault.NOT_ALLOWED
        return None if self.key else RegistryFault.NEEDS_KEY

    def _new(self, id: str) -> RegisteredModel | RegistryFault:
        if RegistryFault.UNREACHABLE in list(self._answers.values()):
            return RegistryFault.UNREACHABLE
        answer = self._ask(id)
        if isinstance(answer, RegisteredModel):
            self.kept.keep((id,), asdict(answer), there=True)
        elif answer is RegistryFault.NOT_FOUND:
            self.kept.keep((id,), answer.value, there=False)
        return answer

    def _ask(self, id: str) -> RegisteredModel | RegistryFault:
        """A model with all its versions, however many pages they fill."""
        from studio.load.rest import Client  # with TLS and all: only for who asks

        client, path = Client(self.url, self.key), f"/api/v2/registry/models/{quote(id, safe='')}"
        versions: list[Any] = []
        token = ""
        for _ in range(MAX_PAGES):
            answer = client.get(f"{path}?{urlencode({'page_token': token})}" if token else path)
            if fault := _fault(answer.status):
                return fault
            content = answer.content
            if not isinstance(content, dict) or "model_id" not in content:
                return RegistryFault.UNREACHABLE  # something answers there, but not this API
            more = content.get("model_versions")
            versions += more if isinstance(more, list) else []
            token = str(content.get("next_page_token") or "")
            if not token:
                return _registered(str(content.get("name") or ""), versions)
        return RegistryFault.UNREACHABLE


def registry(backend: Backend, environ: Mapping[str, str]) -> Registry:
    """The registry of the workspace that studio.yaml names, else of the one that the environment names."""
    url, variable = workspaces.address(backend, environ), workspaces.key_variable(backend)
    refusal = disclosure.refusal(url, variable, environ) if url else ""
    return Registry(url, "" if refusal else environ.get(variable, ""), variable, refusal)


def _fault(status: int) -> RegistryFault | None:
    match status:
        case 200:
            return None
        case 400 | 404 | 410:  # 400: the id is not of the form that ids have
            return RegistryFault.NOT_FOUND
        case 401 | 403:
            return RegistryFault.NEEDS_KEY
        case _:
            return RegistryFault.UNREACHABLE


def _registered(name: str, versions: list[Any]) -> RegisteredModel:
    """Guide, Model Import: the first version's ``model_version_metadata.mlflow_metadata``."""
    ids = [_mlflow(version) for version in sorted(versions, key=_number)]
    experiment, run = ids[0] if ids else ("", "")
    return RegisteredModel(name, len(versions), experiment, run, tuple(run for _, run in ids))


def _number(version: Any) -> float:
    """Versions count from 1; the API does not say in which order it lists them."""
    number = version.get("number") if isinstance(version, dict) else None
    return number if isinstance(number, int) else float("inf")


def _mlflow(version: Any) -> tuple[str, str]:
    """Experiment and run of a version."""
    found: Any = version
    for key in ("model_version_metadata", "mlflow_metadata"):
        found = found.get(key) if isinstance(found, dict) else None
    ids = found if isinstance(found, dict) else {}
    experiment, run = (str(ids.get(key) or "") for key in ("experiment_id", "run_id"))
    return experiment if _ID.match(experiment) else "", run if _ID.match(run) else ""


def _from_json(kept: Any) -> RegisteredModel | RegistryFault | None:
    """A kept answer, if it is one."""
    match kept:
        case RegistryFault.NOT_FOUND.value:
            return RegistryFault.NOT_FOUND
        case {
            "name": str(name), "versions": int(versions), "experiment_id": str(experiment), "run_id": str(run),
            "runs": [*runs],
        } if all(isinstance(each, str) for each in runs):  # fmt: skip
            return RegisteredModel(name, versions, experiment, run, tuple(runs))
    return None
