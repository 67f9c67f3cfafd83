"""What a project names elsewhere, on the hub and in a workspace's registry: asked in one place, and all at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from studio.core.errors import StudioError
from studio.core.references import Ref
from studio.core.registered import Logged
from studio.load import answers
from studio.load.hub import Hub, HubFault, HubInfo, endpoint, question, token
from studio.load.observation import Observation
from studio.load.registry import RegisteredModel, Registry, RegistryFault, registered_id, registry
from studio.load.settings import ProjectSpec
from studio.resources.adapter import Adapter, AdapterFacts, AdapterSpec
from studio.resources.base import Resource, stored
from studio.resources.dataset import Dataset
from studio.resources.model import Model, ModelFacts, ModelSpec

AT_ONCE = 50
"""Questions that are under way at the same time: so many names take no longer than one."""
DATA = (Dataset, Model, Adapter)
"""What may be elsewhere."""
Answer = HubInfo | HubFault | RegisteredModel | RegistryFault


@dataclass(frozen=True, slots=True)
class Online:
    """The hub and the registry that a project's names are looked up in."""

    hub: Hub
    registry: Registry

    def ask(self, specs: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Ask about resources, by kind and spec, at the same time; whoever asks later finds the answers ready."""
        asking: dict[object, Callable[[], Answer]] = {}
        for kind, spec in specs:
            asking |= self._question(kind, spec)
        if asking:
            from concurrent.futures import ThreadPoolExecutor  # only for who asks

            with ThreadPoolExecutor(min(AT_ONCE, len(asking))) as pool:
                list(pool.map(lambda ask: ask(), asking.values()))
        self.hub.kept.save()
        self.registry.kept.save()

    def answer(self, kind: str, spec: Mapping[str, Any]) -> Answer | None:
        """What is known elsewhere of a resource, by its spec or a recorded one; None for what is nowhere else."""
        return next((ask() for ask in self._question(kind, spec).values()), None)

    def commit(self, kind: str, spec: Mapping[str, Any]) -> str:
        """What the revision of a hub resource points to; "" where nobody knows."""
        found = self.answer(kind, spec)
        return found.sha if isinstance(found, HubInfo) else ""

    def facts(self, resource: Resource) -> ModelFacts | AdapterFacts | None:
        """What the registry says of a model or an adapter; None for another resource, and where it says nothing."""
        if not isinstance(resource, Model | Adapter):
            return None
        found = self.answer(resource.kind, stored(resource.spec))
        if not isinstance(found, RegisteredModel) or not found.run_id:
            return None
        return logged(resource, found.experiment_id, found.run_id)

    def _question(self, kind: str, spec: Mapping[str, Any]) -> dict[object, Callable[[], Answer]]:
        on_hub, id = question(kind, spec), registered_id(spec)
        if on_hub:
            return {on_hub: lambda: self.hub.answer(on_hub)}
        return {id: lambda: self.registry.model(id)} if id else {}


def logged(resource: Model | Adapter, experiment: str, run: str) -> ModelFacts | AdapterFacts:
    """Facts of what an MLflow run logged: nothing of its files is known before a job has fetched them."""
    if isinstance(resource, Model):
        return ModelFacts("", "", mlflow_experiment_id=experiment, mlflow_run_id=run)
    return AdapterFacts("", mlflow_experiment_id=experiment, mlflow_run_id=run)


def logged_by(ref: Ref, spec: ModelSpec | AdapterSpec, facts: Observation) -> Logged | None:
    """The run that logged what is in the registry, as jobs are told it; raises StudioError while nobody knows."""
    id = registered_id(stored(spec))
    if not id:
        return None
    if isinstance(facts, ModelFacts | AdapterFacts) and facts.mlflow_run_id:
        return Logged(experiment_id=facts.mlflow_experiment_id, run_id=facts.mlflow_run_id)
    raise StudioError(
        f"{ref}: which MLflow run logged {id!r} is not known, because the model registry has not answered yet",
        "apply again where the workspace can be asked, without --offline",
    )


def online(settings: ProjectSpec, root: Path, environ: Mapping[str, str]) -> Online:
    """Where a project's names are looked up, with what earlier commands were answered."""
    variable, workspace = settings.hf_token.env, registry(settings.backend, environ)
    with_token = bool(token(variable, environ))
    hub = Hub(variable, answers.kept(root, environ, endpoint(environ), with_token=with_token))
    kept = answers.kept(root, environ, workspace.url, with_token=bool(workspace.key))
    return Online(hub, replace(workspace, kept=kept))
