"""What the hub and the registry say of the project's names; every rule about it asks here."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core.references import Ref
from studio.load.hub import HubFault, HubInfo
from studio.load.registry import RegisteredModel, RegistryFault
from studio.resources.dataset import Dataset, DatasetType
from studio.resources.model import Model, ModelType
from studio.rules.base import View

NETWORK = "check the network and HF_ENDPOINT; apply --offline asks nobody"


def of_dataset(dataset: Dataset, view: View) -> HubInfo | HubFault | None:
    """None for what the hub is not to be asked about."""
    spec = dataset.spec
    if view.hub is None or spec.type != DatasetType.HUGGINGFACE or not spec.huggingface_name.strip():
        return None
    return view.hub.dataset(spec.huggingface_name, spec.revision, spec.subset)


def of_model(model: Model, view: View) -> HubInfo | HubFault | None:
    spec = model.spec
    if view.hub is None or spec.type != ModelType.HUGGINGFACE or not spec.huggingface_model_name.strip():
        return None
    return view.hub.model(spec.huggingface_model_name, spec.revision)


def of_registered(model: Model, view: View) -> RegisteredModel | RegistryFault | None:
    id = model.spec.cml_registered_model_id.strip()
    if view.registry is None or model.spec.type != ModelType.MODEL_REGISTRY or not id:
        return None
    return view.registry.model(id)


def unchecked(view: View) -> dict[Ref, str]:
    """What the hub did not answer about, and its name there; data sets come first."""
    return view.once("unchecked on the hub", None, lambda: dict(_unchecked(view)))


def unregistered(view: View) -> dict[Ref, str]:
    """What the registry did not answer about, and its id there."""
    return view.once("unchecked in the registry", None, lambda: dict(_unregistered(view)))


def counted(names: dict[Ref, str]) -> str:
    """``'acme/a' was``, ``'acme/a' and 3 more were``."""
    first, more = next(iter(names.values())), len(names) - 1
    return f"{first!r} and {more} more were" if more else f"{first!r} was"


def unreachable(view: View, names: dict[Ref, str]) -> str:
    """That the hub did not answer, and about what."""
    where = view.hub.endpoint if view.hub else ""
    return f"the hub at {where} could not be reached: {counted(names)} not checked"


def _unchecked(view: View) -> Iterator[tuple[Ref, str]]:
    for dataset, _ in view.each(Dataset):
        if of_dataset(dataset, view) is HubFault.UNREACHABLE:
            yield dataset.ref, dataset.spec.huggingface_name
    for model, _ in view.each(Model):
        if of_model(model, view) is HubFault.UNREACHABLE:
            yield model.ref, model.spec.huggingface_model_name


def _unregistered(view: View) -> Iterator[tuple[Ref, str]]:
    for model, _ in view.each(Model):
        if of_registered(model, view) is RegistryFault.UNREACHABLE:
            yield model.ref, model.spec.cml_registered_model_id
