"""AD: adapters (guide, Adapter Import Validation)."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core.enumerations import members
from studio.core.findings import Severity
from studio.core.references import Ref
from studio.core.suggest import did_you_mean
from studio.load.hub import is_commit
from studio.load.problems import Fault
from studio.resources.adapter import Adapter, AdapterType
from studio.rules.base import Breach, View, rule

NAME = ("metadata", "name")


@rule("AD-001")
def no_name(view: View) -> Iterator[Breach]:
    """The adapter has no name.

    Evaluations and exports refer to it by name.

    Bad:
        kind: Adapter
        metadata:
          name: ""  # <-
    Good:
        kind: Adapter
        metadata:
          name: imported-router
    """
    hint = "write metadata.name, such as ticket-router"
    for adapter, source in view.each(Adapter):
        if not adapter.metadata.name:
            yield Breach(NAME, "the adapter has no name", hint, adapter.ref, source)
    for problem in view.problems:  # a second one without a name counts as a duplicate of the first
        if problem.fault is Fault.DUPLICATE_RESOURCE and problem.resource == Ref("Adapter", ""):
            yield Breach(NAME, "the adapter has no name", hint, source=problem.source)


@rule("AD-002", Adapter)
def unknown_base_model(adapter: Adapter, view: View) -> Iterator[Breach]:
    """The base model is missing, or no Model has its name.

    An adapter is a difference to one base model, and means nothing without it.

    Bad:
        kind: Adapter
        spec:
          model: tiny-lama  # <-
    Good:
        kind: Adapter
        spec:
          model: tiny-llama
    """
    if view.graph.target(adapter.ref, "spec", "model") is None:
        name = adapter.spec.model
        what = f"no Model is named {name!r}" if name else "model is missing"
        yield Breach("spec.model", what, did_you_mean(name, view.graph.names("Model")))


@rule("AD-004", Adapter)
def unknown_job(adapter: Adapter, view: View) -> Iterator[Breach]:
    """No FineTuningJob has the name of the job that is said to produce the adapter.

    Bad:
        kind: Adapter
        spec:
          fine_tuning_job: rooter  # <-
    Good:
        kind: Adapter
        spec:
          fine_tuning_job: router
    """
    name = adapter.spec.fine_tuning_job
    if name and view.graph.target(adapter.ref, "spec", "fine_tuning_job") is None:
        hint = did_you_mean(name, view.graph.names("FineTuningJob"))
        yield Breach("spec.fine_tuning_job", f"no FineTuningJob is named {name!r}", hint)


@rule("AD-005", Adapter)
def unknown_prompt(adapter: Adapter, view: View) -> Iterator[Breach]:
    """No Prompt has the name of the prompt that the adapter is said to be trained with.

    Bad:
        kind: Adapter
        spec:
          prompt: route-tickets  # <-
    Good:
        kind: Adapter
        spec:
          prompt: route-ticket
    """
    name = adapter.spec.prompt
    if name and view.graph.target(adapter.ref, "spec", "prompt") is None:
        yield Breach("spec.prompt", f"no Prompt is named {name!r}", did_you_mean(name, view.graph.names("Prompt")))


@rule("AD-006", Adapter)
def unknown_type(adapter: Adapter, view: View) -> Iterator[Breach]:
    """The type of the adapter is missing or unknown.

    It says where the weights come from. It may be left out when a job of the project produces them.

    Bad:
        kind: Adapter
        spec:
          type: local  # <-
    Good:
        kind: Adapter
        spec:
          type: project
    """
    found = adapter.spec.type
    if found not in members(AdapterType) and (found or not adapter.spec.fine_tuning_job):
        message = f"type is {found!r}; it must be one of {', '.join(AdapterType)}" if found else "type is missing"
        yield Breach("spec.type", message, did_you_mean(found, AdapterType))


@rule("AD-010", Adapter)
def no_hub_name(adapter: Adapter, view: View) -> Iterator[Breach]:
    """An adapter of the hub has no name there.

    Bad:
        kind: Adapter
        spec:
          type: huggingface
          huggingface_name: ""  # <-
    Good:
        kind: Adapter
        spec:
          type: huggingface
          huggingface_name: acme/ticket-router
    """
    if adapter.spec.type == AdapterType.HUGGINGFACE and not adapter.spec.huggingface_name.strip():
        yield Breach("spec.huggingface_name", "huggingface_name is missing", "write owner/name, as on the hub")


@rule("AD-011", Adapter)
def no_registry_id(adapter: Adapter, view: View) -> Iterator[Breach]:
    """An adapter of the registry has no id there.

    Bad:
        kind: Adapter
        spec:
          type: model_registry
          cml_registered_model_id: ""  # <-
    Good:
        kind: Adapter
        spec:
          type: model_registry
          cml_registered_model_id: abcd-1234-efgh-5678
    """
    if adapter.spec.type == AdapterType.MODEL_REGISTRY and not adapter.spec.cml_registered_model_id.strip():
        hint = "copy the id from the model registry of the workspace"
        yield Breach("spec.cml_registered_model_id", "cml_registered_model_id is missing", hint)


@rule("AD-015", Adapter, severity=Severity.WARNING)
def revision_not_pinned(adapter: Adapter, view: View) -> Iterator[Breach]:
    """The revision is not a commit, so the weights can change under the same manifest.

    A branch or a tag moves. Then what was evaluated is not what is exported.

    Bad:
        kind: Adapter
        spec:
          type: huggingface
          huggingface_name: acme/ticket-router
          revision: main  # <-
    Good:
        kind: Adapter
        spec:
          type: huggingface
          huggingface_name: acme/ticket-router
          revision: 8f0e3c1b5d7a9e2f4c6b8a0d1e3f5a7c9b2d4e6f
    """
    spec = adapter.spec
    if spec.type == AdapterType.HUGGINGFACE and spec.huggingface_name.strip() and not is_commit(spec.revision):
        what = f"revision {spec.revision!r} is not a commit" if spec.revision else "revision is missing"
        hint = "write the 40 digits of a commit, from the adapter's history on the hub"
        yield Breach("spec.revision", f"{what}; the weights may change", hint)
