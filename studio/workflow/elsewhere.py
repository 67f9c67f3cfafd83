"""Drift of what is on the hub and in a workspace's registry: asked about in one go, and only by who may ask."""

from __future__ import annotations

from collections.abc import Iterable

from studio.backends.base import place
from studio.core.references import Ref
from studio.load.hub import HubFault, HubInfo
from studio.load.online import DATA, Online
from studio.load.registry import RegisteredModel, RegistryFault
from studio.plan.drift import Past, Subject, Unseen
from studio.resources.base import Resource, stored
from studio.workflow.sight import Looks, Sight

REGISTERED = "model_registry"


def commits(online: Online | None, resources: Iterable[Resource]) -> dict[Ref, str]:
    """What the revisions of a project's hub resources point to now; empty when the hub was not asked."""
    if online is None:
        return {}
    data = (each for each in resources if isinstance(each, DATA))
    found = {each.ref: online.commit(each.kind, stored(each.spec)) for each in data}
    return {ref: commit for ref, commit in found.items() if commit}


def sources(sight: Sight, known: Past, subjects: list[Subject], looks: Looks) -> None:
    """Asked about all of them in one go; what an earlier command was answered does not count here."""
    records = {subject: known.records[Ref(*subject.key)] for subject in subjects}
    if sight.online is None:
        raise AssertionError("nothing is expected elsewhere of who may not ask")
    sight.online.ask((record.ref.kind, record.spec) for record in records.values())
    for subject, record in records.items():
        match sight.online.answer(record.ref.kind, record.spec):
            case HubInfo(sha=sha):
                looks.found[subject] = sha
            case RegisteredModel(run_id=run):
                looks.found[subject] = run or None
            case HubFault.NOT_FOUND | HubFault.NO_REVISION | RegistryFault.NOT_FOUND:
                looks.found[subject] = None
            case fault:
                looks.unseen.append(Unseen(str(record.ref), *_silence(fault, sight)))


def registrations(sight: Sight, known: Past, subjects: list[Subject], looks: Looks) -> None:
    """Versions that exports registered, where their workspace is the one that is asked."""
    if sight.online is None:
        raise AssertionError("nothing is expected elsewhere of who may not ask")
    registry = sight.online.registry
    here = [subject for subject in subjects if subject.key[0].startswith(place(registry.url, ""))]
    sight.online.ask(("Model", {"type": REGISTERED, "cml_registered_model_id": each.key[1]}) for each in here)
    for subject in subjects:
        workspace, model, run = subject.key
        match registry.model(model) if subject in here else None:
            case RegisteredModel(runs=runs):
                looks.found[subject] = "there" if run in runs else None
            case RegistryFault.NOT_FOUND:
                looks.found[subject] = None
            case None:
                looks.unseen.append(Unseen(f"the registered model {model}", f"it is in {workspace}"))
            case fault:
                looks.unseen.append(Unseen(f"the registered model {model}", *_silence(fault, sight)))


def _silence(fault: object, sight: Sight) -> tuple[str, str]:
    """Why the hub or the registry did not tell, and what to do."""
    settings = sight.loaded.settings.spec
    match fault:
        case HubFault.NEEDS_TOKEN:
            return "the hub wants a token", f"set {settings.hf_token.env}"
        case RegistryFault.NEEDS_KEY | RegistryFault.NOT_ALLOWED | RegistryFault.NOT_CONFIGURED:
            return "no registry may be asked with a key", "'studio validate --online' says why"
        case RegistryFault():
            return "the model registry gave no answer", "check the network"
        case _:
            return "the hub gave no answer", "check the network"
