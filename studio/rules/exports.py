"""EX: exports (guide, Export Validation)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from studio.core.enumerations import members
from studio.core.findings import Severity
from studio.core.suggest import did_you_mean
from studio.resources.model_export import ExportType, GgufType, InferenceTask, ModelExport, Weights
from studio.rules.base import Breach, View, rule


@rule("EX-001", ModelExport)
def no_base_model(export: ModelExport, view: View) -> Iterator[Breach]:
    """The export names no base model.

    Bad:
        kind: ModelExport
        spec:
          base_model: ""  # <-
    Good:
        kind: ModelExport
        spec:
          base_model: tiny-llama
    """
    if not export.spec.base_model:
        yield Breach("spec.base_model", "base_model is missing", did_you_mean("", view.graph.names("Model")))


@rule("EX-002", ModelExport)
def no_adapter(export: ModelExport, view: View) -> Iterator[Breach]:
    """The export names no adapter.

    Only a reference to the base model on the hub (weights: reference) can do without one; an endpoint cannot.

    Bad:
        kind: ModelExport
        spec:
          adapter: ""  # <-
    Good:
        kind: ModelExport
        spec:
          adapter: ticket-router
    """
    if not export.spec.adapter and (export.spec.weights != Weights.REFERENCE or export.is_endpoint):
        hint = did_you_mean("", view.graph.names("Adapter"))
        yield Breach("spec.adapter", "adapter is missing", hint)


@rule("EX-003", ModelExport)
def no_model_name(export: ModelExport, view: View) -> Iterator[Breach]:
    """The export has no name for the model it registers.

    Bad:
        kind: ModelExport
        spec:
          model_name: " "  # <-
    Good:
        kind: ModelExport
        spec:
          model_name: ticket-router
    """
    if not export.spec.model_name.strip():
        suggestion = export.spec.adapter or export.metadata.name
        yield Breach("spec.model_name", "model_name is missing", f"write model_name: {suggestion}")


@rule("EX-006", ModelExport)
def unknown_type(export: ModelExport, view: View) -> Iterator[Breach]:
    """The type of the export is missing or unknown.

    It says where the model goes: into the registry, or to an endpoint.

    Bad:
        kind: ModelExport
        spec:
          type: registry  # <-
    Good:
        kind: ModelExport
        spec:
          type: model_registry
    """
    found = export.spec.type
    if found not in members(ExportType):
        message = f"type is {found!r}; it must be one of {', '.join(ExportType)}" if found else "type is missing"
        yield Breach("spec.type", message, did_you_mean(found, ExportType))


@rule("EX-007", ModelExport)
def unknown_weights(export: ModelExport, view: View) -> Iterator[Breach]:
    """What is to be stored is unknown.

    Bad:
        kind: ModelExport
        spec:
          weights: merge  # <-
    Good:
        kind: ModelExport
        spec:
          weights: merged
    """
    found = export.spec.weights
    if found not in members(Weights):
        message = f"weights is {found!r}; it must be one of {', '.join(Weights)}"
        yield Breach("spec.weights", message, did_you_mean(found, Weights))


@rule("EX-020", ModelExport)
def persist_without_reference(export: ModelExport, view: View) -> Iterator[Breach]:
    """The weights are to persist, but what is stored is not a reference.

    Merged weights are stored in any case, and persist would say nothing. An adapter is stored over a reference to its
    base model, whose weights stay on the hub.

    Bad:
        kind: ModelExport
        spec:
          persist: true  # <-
    Good:
        kind: ModelExport
        spec:
          weights: reference
          base_model: hub-llama
          adapter: ""
          requires: []
          persist: true
    """
    spec = export.spec
    stored = not export.is_endpoint and spec.weights in members(Weights)
    if spec.persist and stored and spec.weights != Weights.REFERENCE:
        merged = spec.weights == Weights.MERGED
        hint = "remove persist" if merged else "write weights: merged, which stores everything, and remove persist"
        yield Breach("spec.persist", f"persist has no meaning with weights: {spec.weights}", hint)


@rule("EX-022", ModelExport)
def unknown_gguf_type(export: ModelExport, view: View) -> Iterator[Breach]:
    """The type of the numbers in the GGUF file is unknown.

    It is what llama.cpp's converter can write itself; smaller ones are made from its file with llama-quantize. auto is
    the 16-bit type that is nearest to the stored weights.

    Bad:
        kind: ModelExport
        spec:
          gguf: q4_k_m  # <-
    Good:
        kind: ModelExport
        spec:
          gguf: q8_0
    """
    found = export.spec.gguf
    if found is not None and found not in members(GgufType):
        message = f"gguf is {found!r}; it must be one of {', '.join(GgufType)}" if found else "gguf is empty"
        yield Breach("spec.gguf", message, did_you_mean(found, GgufType))


@rule("EX-023", ModelExport)
def gguf_without_merged_weights(export: ModelExport, view: View) -> Iterator[Breach]:
    """A GGUF file is asked for, but no merged weights are stored.

    It is made of one whole checkpoint. An adapter and a reference have none.

    Bad:
        kind: Model
        metadata:
          name: hub-llama
        spec:
          type: huggingface
          huggingface_model_name: acme/hub-llama
          revision: 0123456789abcdef0123456789abcdef01234567
        ---
        kind: ModelExport
        spec:
          weights: reference
          base_model: hub-llama
          adapter: ""
          requires: []
          gguf: f16  # <-
    Good:
        kind: ModelExport
        spec:
          weights: merged
          gguf: f16
    """
    spec = export.spec
    stored = not export.is_endpoint and spec.weights in members(Weights)
    if spec.gguf in members(GgufType) and stored and spec.weights != Weights.MERGED:
        message = f"gguf is made of merged weights, and weights is {spec.weights}"
        yield Breach("spec.gguf", message, "write weights: merged, or remove gguf")


@rule("EX-008", ModelExport)
def unknown_task(export: ModelExport, view: View) -> Iterator[Breach]:
    """The inference task is unknown.

    It decides what the served model takes and gives.

    Bad:
        kind: ModelExport
        spec:
          task: chat  # <-
    Good:
        kind: ModelExport
        spec:
          task: llm/v1/completions
    """
    found = export.spec.task
    if found not in members(InferenceTask):
        message = f"task is {found!r}; it must be one of {', '.join(InferenceTask)}"
        yield Breach("spec.task", message, did_you_mean(found, InferenceTask))


@rule("EX-009", ModelExport)
def name_refused_by_registry(export: ModelExport, view: View) -> Iterator[Breach]:
    """The model's name holds a character that the registry refuses.

    MLflow takes neither slash nor colon, nor a name that is a path: they separate name, version and alias in its URIs.

    Bad:
        kind: ModelExport
        spec:
          model_name: support/ticket-router  # <-
    Good:
        kind: ModelExport
        spec:
          model_name: support-ticket-router
    """
    name = export.spec.model_name
    refused = [character for character in "/:" if character in name]
    if not export.is_endpoint and (refused or name in (".", "..")):
        what = f"holds {' and '.join(map(repr, refused))}" if refused else "is a path"
        suggestion = re.sub(r"[/:]+", "-", name).strip(".-") or export.metadata.name
        yield Breach("spec.model_name", f"model_name {name!r} {what}", f"write {suggestion}")


@rule("EX-012", ModelExport)
def impossible_resources(export: ModelExport, view: View) -> Iterator[Breach]:
    """The export or its endpoint has no CPU, memory or replica, or a negative number of GPUs.

    Bad:
        kind: ModelExport
        spec:
          replicas: 0  # <-
    Good:
        kind: ModelExport
        spec:
          replicas: 1
    """
    for name, least in (("num_cpu", 1), ("num_gpu", 0), ("num_memory", 1), ("replicas", 1)):
        value = getattr(export.spec, name)
        if value is not None and value < least:
            hint = f"write {name}: {least}, or remove it"
            yield Breach(f"spec.{name}", f"{name} is {value}; it must be at least {least}", hint)


@rule("EX-015", ModelExport, severity=Severity.WARNING)
def endpoint_without_workspace(export: ModelExport, view: View) -> Iterator[Breach]:
    """The export deploys an endpoint, but jobs run on this machine.

    An endpoint is deployed by a Cloudera ML workspace. On the local backend apply refuses the export.

    Bad:
        kind: Model
        spec:
          type: huggingface
          huggingface_model_name: acme/tiny-llama
          revision: 0123456789abcdef0123456789abcdef01234567
        ---
        kind: ModelExport
        spec:
          type: cml_model  # <-
    Good:
        kind: ModelExport
        spec:
          type: model_registry
    """
    backend = view.settings.spec.backend.type
    if export.spec.type == ExportType.CML_MODEL and backend == "local":
        hint = "write type: model_registry, or choose an environment whose backend is a workspace"
        yield Breach("spec.type", "an endpoint cannot be deployed by the local backend", hint)
