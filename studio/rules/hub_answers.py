"""What the hub and the registry say of the project's names; every rule about it asks here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from studio.core.references import Ref
from studio.load import disclosure
from studio.load.hub import HubFault, HubInfo
from studio.load.registry import RegisteredModel, Registry, RegistryFault
from studio.resources.adapter import Adapter
from studio.resources.base import stored
from studio.resources.dataset import Dataset
from studio.resources.model import Model
from studio.rules.base import Breach, View

ID = "spec.cml_registered_model_id"
NETWORK = "check the network and HF_ENDPOINT; apply --offline asks nobody"


def on_hub(resource: Dataset | Model | Adapter, view: View) -> HubInfo | HubFault | None:
    """None for what the hub is not to be asked about."""
    found = view.online.answer(resource.kind, stored(resource.spec)) if view.online else None
    return found if isinstance(found, HubInfo | HubFault) else None


def registered(resource: Model | Adapter, view: View) -> RegisteredModel | RegistryFault | None:
    """None for what the registry is not to be asked about."""
    found = view.online.answer(resource.kind, stored(resource.spec)) if view.online else None
    return found if isinstance(found, RegisteredModel | RegistryFault) else None


def unchecked(view: View) -> dict[Ref, str]:
    """What the hub did not answer about, and its name there; data sets come first, then models."""
    return view.once("unchecked on the hub", None, lambda: dict(_unchecked(view)))


def unregistered(view: View) -> dict[Ref, str]:
    """What the registry did not answer about, and its id there; models come first."""
    return view.once("unchecked in the registry", None, lambda: dict(_unregistered(view)))


def counted(names: dict[Ref, str]) -> str:
    """``'acme/a' was``, ``'acme/a' and 3 more were``."""
    first, more = next(iter(names.values())), len(names) - 1
    return f"{first!r} and {more} more were" if more else f"{first!r} was"


def unreachable(view: View, first: Ref, path: str) -> Iterator[Breach]:
    """That the hub did not answer, and about what; told at the first of them."""
    names = unchecked(view)
    if view.online and next(iter(names), None) == first:
        where = f"the hub at {view.online.hub.endpoint}"
        yield Breach(path, f"{where} could not be reached: {counted(names)} not checked", NETWORK)


def registry_unreachable(view: View, first: Ref) -> Iterator[Breach]:
    """The same of the registry."""
    names = unregistered(view)
    if view.online and next(iter(names), None) == first:
        where = f"the model registry at {view.online.registry.url}"
        hint = "check the network; apply --offline asks nobody"
        yield Breach(ID, f"{where} could not be reached: {counted(names)} not checked", hint)


def useless(resource: Model | Adapter, view: View) -> Iterator[Breach]:
    """Why nothing can be loaded from the registry; nothing when it could not be asked."""
    answer, id = registered(resource, view), resource.spec.cml_registered_model_id.strip()
    if view.online is None or answer is None or answer is RegistryFault.UNREACHABLE:
        return
    if isinstance(answer, RegistryFault):
        yield _refused(answer, resource.kind.lower(), id, view.online.registry)
    elif not answer.versions:
        what = f"the registered {resource.kind.lower()} {id!r} has no version"
        yield Breach(ID, what, "log a version of it with MLflow")
    else:
        lacking = [what for what, held in (("experiment", answer.experiment_id), ("run", answer.run_id)) if not held]
        if lacking:
            message = f"the first version of {id!r} names no MLflow {' and no '.join(lacking)}"
            yield Breach(ID, message, "register it from an MLflow run")


def _refused(fault: RegistryFault, what: str, id: str, registry: Registry) -> Breach:
    """Why the registry did not show ``id``."""
    match fault:
        case RegistryFault.NOT_FOUND:
            hint = "copy the id from the model registry of the workspace"
            return Breach(ID, f"the model registry at {registry.url} has no {what} {id!r}", hint)
        case RegistryFault.NEEDS_KEY:
            hint = f"set the variable {registry.key_variable} to an API key (version 2) that may see it"
            return Breach(ID, f"the model registry at {registry.url} wants a key to show {id!r}", hint)
        case RegistryFault.NOT_ALLOWED:
            message = f"the key is not sent to {registry.url} to ask about {id!r}: {registry.refusal}"
            return Breach(ID, message, f"{disclosure.MEND}; apply --offline asks nobody")
        case RegistryFault.NOT_CONFIGURED:
            hint = "set the variable STUDIO_CML_URL to the address of the workspace"
            return Breach(ID, f"no workspace is known that could be asked about {id!r}", hint)
        case RegistryFault.UNREACHABLE:
            raise AssertionError("who does not answer refuses nothing")
        case _:
            assert_never(fault)


def _unchecked(view: View) -> Iterator[tuple[Ref, str]]:
    for dataset, _ in view.each(Dataset):
        if on_hub(dataset, view) is HubFault.UNREACHABLE:
            yield dataset.ref, dataset.spec.huggingface_name
    for model, _ in view.each(Model):
        if on_hub(model, view) is HubFault.UNREACHABLE:
            yield model.ref, model.spec.huggingface_model_name
    for adapter, _ in view.each(Adapter):
        if on_hub(adapter, view) is HubFault.UNREACHABLE:
            yield adapter.ref, adapter.spec.huggingface_name


def _unregistered(view: View) -> Iterator[tuple[Ref, str]]:
    models = [model for model, _ in view.each(Model)]
    adapters = [adapter for adapter, _ in view.each(Adapter)]
    named: list[Model | Adapter] = [*models, *adapters]
    for resource in named:
        if registered(resource, view) is RegistryFault.UNREACHABLE:
            yield resource.ref, resource.spec.cml_registered_model_id.strip()
