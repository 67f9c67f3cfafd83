"""MD: models of a CML workspace's registry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from studio.core.findings import Phase
from studio.load.registry import Registry, RegistryFault
from studio.resources.model import Model, ModelType
from studio.rules.base import Breach, View, rule

ID = "spec.cml_registered_model_id"


@rule("MD-003", Model, phase=Phase.ONLINE)
def not_in_registry(model: Model, view: View) -> Iterator[Breach]:
    """The model registry does not show such a model, or its first version was not logged with MLflow.

    The weights are found through the MLflow run of the first version: without experiment and run there is nothing to
    train on. Nor is there when no workspace can be asked: the weights are only there.

    Bad:
        kind: Model
        spec:
          type: model_registry
          cml_registered_model_id: abcd-1234-efgh-0000  # <-
    Good:
        kind: Model
        spec:
          type: model_registry
          cml_registered_model_id: abcd-1234-efgh-5678
    """
    id = model.spec.cml_registered_model_id.strip()
    if view.registry is None or model.spec.type != ModelType.MODEL_REGISTRY or not id:
        return
    answer = view.registry.model(id)
    if isinstance(answer, RegistryFault):
        yield _refused(answer, id, view.registry)
    elif not answer.versions:
        yield Breach(ID, f"the registered model {id!r} has no version", "log a version of it with MLflow")
    else:
        lacking = [what for what, held in (("experiment", answer.experiment_id), ("run", answer.run_id)) if not held]
        if lacking:
            message = f"the first version of {id!r} names no MLflow {' and no '.join(lacking)}"
            yield Breach(ID, message, "register the model from an MLflow run")


def _refused(fault: RegistryFault, id: str, registry: Registry) -> Breach:
    """Why the registry did not show ``id``."""
    match fault:
        case RegistryFault.NOT_FOUND:
            hint = "copy the id from the model registry of the workspace"
            return Breach(ID, f"the model registry at {registry.url} has no model {id!r}", hint)
        case RegistryFault.NEEDS_KEY:
            hint = f"set the variable {registry.key_variable} to an API key (version 2) that may see it"
            return Breach(ID, f"the model registry at {registry.url} wants a key to show {id!r}", hint)
        case RegistryFault.UNREACHABLE:
            hint = "check the network and the workspace's address (https), or leave out --online"
            return Breach(ID, f"the model registry at {registry.url} could not be asked about {id!r}", hint)
        case RegistryFault.NOT_CONFIGURED:
            hint = "set spec.backend.url in studio.yaml, or the variable CDSW_DOMAIN"
            return Breach(ID, f"no workspace is known that could be asked about {id!r}", hint)
        case _:
            assert_never(fault)
