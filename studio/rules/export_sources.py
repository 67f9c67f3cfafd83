"""EX: what an export is made from, and what it waits for."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core.findings import Severity
from studio.graph import producer
from studio.load import chat_templates
from studio.resources.adapter import Adapter, AdapterType
from studio.resources.evaluation_job import EvaluationJob
from studio.resources.model import Model, ModelType
from studio.resources.model_export import ExportType, InferenceTask, ModelExport, Weights
from studio.resources.prompt import Prompt
from studio.rules.base import Breach, View, rule


@rule("EX-004", ModelExport)
def endpoint_without_local_adapter(export: ModelExport, view: View) -> Iterator[Breach]:
    """An endpoint is to serve an adapter that is not in the project.

    It reads the weights from the project's files: from a folder, or from what a job of the project produced.

    Bad:
        kind: Adapter
        metadata:
          name: hub-router
        spec:
          type: huggingface
          huggingface_name: acme/ticket-router
          revision: 8f0e3c1b5d7a9e2f4c6b8a0d1e3f5a7c9b2d4e6f
          model: hub-llama
        ---
        kind: ModelExport
        spec:
          type: cml_model
          base_model: hub-llama
          adapter: hub-router  # <-
          requires: []
    Good:
        kind: Adapter
        metadata:
          name: local-router
        spec:
          type: project
          location: adapters/of-another-model
          model: hub-llama
        ---
        kind: ModelExport
        spec:
          type: cml_model
          base_model: hub-llama
          adapter: local-router
          requires: []
    """
    adapter = view.get(view.graph.target(export.ref, "spec", "adapter"), Adapter)
    elsewhere = adapter is not None and adapter.spec.type in (AdapterType.HUGGINGFACE, AdapterType.MODEL_REGISTRY)
    if adapter and elsewhere and not adapter.spec.fine_tuning_job and export.spec.type == ExportType.CML_MODEL:
        message = f"{adapter.ref} is of type {adapter.spec.type}; an endpoint needs an adapter of type project"
        yield Breach("spec.adapter", message, "copy it into the project, or export it with type: model_registry")


@rule("EX-005", ModelExport)
def endpoint_without_hub_model(export: ModelExport, view: View) -> Iterator[Breach]:
    """An endpoint is to serve a base model that is not on the Hugging Face Hub.

    The endpoint loads its base model by its name on the hub.

    Bad:
        kind: ModelExport
        spec:
          type: cml_model
          base_model: tiny-llama  # <-
    Good:
        kind: ModelExport
        spec:
          type: model_registry
          base_model: tiny-llama
    """
    model = view.get(view.graph.target(export.ref, "spec", "base_model"), Model)
    elsewhere = model is not None and model.spec.type in (ModelType.PROJECT, ModelType.MODEL_REGISTRY)
    if model and elsewhere and export.spec.type == ExportType.CML_MODEL:
        message = f"{model.ref} is of type {model.spec.type}; an endpoint needs one of type huggingface"
        yield Breach("spec.base_model", message, "name a model of the hub, or use type: model_registry")


@rule("EX-010", ModelExport)
def adapter_of_another_model(export: ModelExport, view: View) -> Iterator[Breach]:
    """The adapter was made for another base model.

    Merged into this one, its weights do not fit, or worse, they fit and mean nothing.

    Bad:
        kind: ModelExport
        spec:
          base_model: hub-llama
          adapter: ticket-router  # <-
    Good:
        kind: ModelExport
        spec:
          base_model: tiny-llama
          adapter: ticket-router
    """
    base = view.graph.target(export.ref, "spec", "base_model")
    adapter = view.graph.target(export.ref, "spec", "adapter")
    made_for = view.base_of(adapter) if adapter else None
    if base and made_for and base != made_for:
        message = f"the adapter {export.spec.adapter!r} is made for {made_for}, not for {base}"
        yield Breach("spec.adapter", message, f"write base_model: {made_for.name}")


@rule("EX-011", ModelExport)
def required_evaluation_without_gates(export: ModelExport, view: View) -> Iterator[Breach]:
    """The export requires an evaluation that has no gates.

    Every result would let it pass, so the requirement protects from nothing.

    Bad:
        kind: EvaluationJob
        metadata:
          name: just-numbers
        spec:
          gates: []
        ---
        kind: ModelExport
        spec:
          requires:
            - just-numbers  # <-
    Good:
        kind: ModelExport
        spec:
          requires:
            - router-vs-base
    """
    for index, name in enumerate(export.spec.requires):
        evaluation = view.get(view.graph.target(export.ref, "spec", "requires", index), EvaluationJob)
        if evaluation and not evaluation.spec.gates:
            hint = f"add gates to {evaluation.ref}, or remove it from requires"
            yield Breach(f"spec.requires.{index}", f"the evaluation {name!r} has no gates", hint)


@rule("EX-013", ModelExport)
def reference_to_local_model(export: ModelExport, view: View) -> Iterator[Breach]:
    """A reference is to be stored to a base model that is not on the Hugging Face Hub.

    The registry would hold a name that nobody else can resolve. An adapter is stored with such a reference, too.

    Bad:
        kind: ModelExport
        spec:
          weights: adapter  # <-
          base_model: tiny-llama
    Good:
        kind: ModelExport
        spec:
          weights: reference
          base_model: hub-llama
          adapter: ""
          requires: []
    """
    model = view.get(view.graph.target(export.ref, "spec", "base_model"), Model)
    elsewhere = model is not None and model.spec.type in (ModelType.PROJECT, ModelType.MODEL_REGISTRY)
    refers = not export.is_endpoint and export.spec.weights in (Weights.REFERENCE, Weights.ADAPTER)
    if model and elsewhere and refers:
        message = f"weights: {export.spec.weights} needs a model of the hub; {model.ref} is of type {model.spec.type}"
        yield Breach("spec.weights", message, "write weights: merged, or name a model of the hub")


@rule("EX-024", ModelExport)
def reference_with_adapter(export: ModelExport, view: View) -> Iterator[Breach]:
    """A reference to the base model is to be stored, and an adapter is named, too.

    A reference is to the base model alone: the version would answer as if nothing had been trained.

    Bad:
        kind: ModelExport
        spec:
          weights: reference  # <-
          base_model: hub-llama
          adapter: hub-router
          requires: []
        ---
        kind: Adapter
        metadata:
          name: hub-router
        spec:
          type: huggingface
          huggingface_name: acme/ticket-router
          revision: 8f0e3c1b5d7a9e2f4c6b8a0d1e3f5a7c9b2d4e6f
          model: hub-llama
    Good:
        kind: ModelExport
        spec:
          weights: reference
          base_model: hub-llama
          adapter: ""
          requires: []
    """
    spec = export.spec
    if spec.weights == Weights.REFERENCE and spec.adapter and not export.is_endpoint:
        message = f"weights: reference stores the base model alone, so the adapter {spec.adapter!r} would be lost"
        yield Breach("spec.weights", message, "write weights: merged or weights: adapter, or remove adapter")


@rule("EX-014", ModelExport, severity=Severity.WARNING)
def gates_on_something_else(export: ModelExport, view: View) -> Iterator[Breach]:
    """No gate of a required evaluation is about the adapter that is exported.

    The gates may be met by one adapter while another one is released.

    Bad:
        kind: EvaluationJob
        metadata:
          name: imported-vs-base
        spec:
          model_adapter_combinations:
            - {base_model: tiny-llama}
            - {base_model: tiny-llama, adapter: imported}
          gates:
            - {metric: exact_match, adapter: imported, min: 0.6}
        ---
        kind: ModelExport
        spec:
          adapter: ticket-router
          requires:
            - imported-vs-base  # <-
    Good:
        kind: ModelExport
        spec:
          adapter: ticket-router
          requires:
            - router-vs-base
    """
    for index, name in enumerate(export.spec.requires):
        evaluation = view.get(view.graph.target(export.ref, "spec", "requires", index), EvaluationJob)
        gates = evaluation.spec.gates if evaluation else ()
        if gates and all(gate.adapter != export.spec.adapter for gate in gates):
            message = f"no gate of the evaluation {name!r} is about the adapter {export.spec.adapter!r}"
            hint = "add a gate for it, or require the evaluation that has one"
            yield Breach(f"spec.requires.{index}", message, hint)


@rule("EX-021", ModelExport)
def chat_without_template(export: ModelExport, view: View) -> Iterator[Breach]:
    """The task is llm/v1/chat, and nothing says how a conversation is written as text.

    The chat template is the tokenizer's of the base model, or that of the prompt which the adapter was trained with.
    Without one MLflow would register the model, and every request would fail.

    Bad:
        kind: ModelExport
        spec:
          task: llm/v1/chat  # <-
    Good:
        kind: ModelExport
        spec:
          task: llm/v1/completions
    """
    if export.is_endpoint or export.spec.task != InferenceTask.CHAT:
        return
    model = view.get(view.graph.target(export.ref, "spec", "base_model"), Model)
    adapter = view.graph.target(export.ref, "spec", "adapter")
    job = producer(view.graph, adapter) if adapter else None
    prompt = view.get(view.graph.target(job, "spec", "prompt"), Prompt) if job else None
    brought = adapter is not None and job is None  # with a tokenizer of its own, perhaps
    if model is None or brought or (prompt and prompt.spec.chat_template):
        return
    if chat_templates.has_own(model.spec, view.root) is False:
        hint = "write task: llm/v1/completions, or train with a prompt that has a chat_template"
        yield Breach("spec.task", f"task {InferenceTask.CHAT} needs a chat template, and {model.ref} has none", hint)
