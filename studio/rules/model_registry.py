"""MD: models of a CML workspace's registry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from studio.core.findings import Phase
from studio.load.registry import Registry, RegistryFault
from studio.resources.model import Model
from studio.rules.base import Breach, View, rule
from studio.rules.hub_answers import of_registered

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
    id, answer = model.spec.cml_registered_model_id.strip(), of_registered(model, view)
    if view.registry is None or answer is None or answer is RegistryFault.UNREACHABLE:
        return  # MD-013 says that nobody answered
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
        case RegistryFault.NOT_ALLOWED:
            message = f"the key is not sent to {registry.url} to ask about {id!r}: {registry.refusal}"
            return Breach(ID, message, "see docs/decisions/0010; apply --offline asks nobody")
        case RegistryFault.NOT_CONFIGURED:
            hint = "set the variable STUDIO_CML_URL to the address of the workspace"
            return Breach(ID, f"no workspace is known that could be asked about {id!r}", hint)
        case RegistryFault.UNREACHABLE:
            raise AssertionError("who does not answer refuses nothing")
        case _:
            assert_never(fault)
