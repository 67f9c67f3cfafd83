"""AD: where an adapter's weights come from: a folder, or a job of the project."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core.findings import Severity
from studio.load.adapters import is_named
from studio.load.observation import Defect
from studio.resources.adapter import Adapter, AdapterFacts, AdapterType
from studio.resources.model import Model
from studio.rules.base import Breach, View, defects, rule


@rule("AD-003", Adapter)
def missing_folder(adapter: Adapter, view: View) -> Iterator[Breach]:
    """The folder of an adapter in the project is not given or does not exist.

    An adapter that a job of the project produces needs no folder.

    Bad:
        kind: Adapter
        spec:
          location: adapters/importd  # <-
    Good:
        kind: Adapter
        spec:
          location: adapters/imported
    """
    spec = adapter.spec
    if spec.type == AdapterType.PROJECT and not spec.location and not spec.fine_tuning_job:
        hint = "name a folder that holds the adapter, or the fine_tuning_job that produces it"
        yield Breach("spec.location", "location is missing; the type project needs one", hint)
    yield from defects(view, adapter.ref, Defect.MISSING)


@rule("AD-007", Adapter)
def incomplete_folder(adapter: Adapter, view: View) -> Iterator[Breach]:
    """The adapter's folder lacks its configuration or its weights.

    PEFT needs adapter_config.json and adapter_model.safetensors.

    Bad:
        kind: Adapter
        spec:
          location: adapters/no-weights  # <-
    Good:
        kind: Adapter
        spec:
          location: adapters/imported
    """
    yield from defects(view, adapter.ref, Defect.INCOMPLETE)


@rule("AD-008", Adapter)
def pickled_weights(adapter: Adapter, view: View) -> Iterator[Breach]:
    """The adapter's folder holds pickled weights only.

    A pickle can run any code when it is read. Safetensors hold numbers and nothing else.

    Bad:
        kind: Adapter
        spec:
          location: adapters/pickled  # <-
    Good:
        kind: Adapter
        spec:
          location: adapters/imported
    """
    yield from defects(view, adapter.ref, Defect.PICKLE)


@rule("AD-009", Adapter)
def unreadable_folder(adapter: Adapter, view: View) -> Iterator[Breach]:
    """The adapter's configuration is not valid JSON, or its files cannot be read.

    Bad:
        kind: Adapter
        spec:
          location: adapters/broken  # <-
    Good:
        kind: Adapter
        spec:
          location: adapters/imported
    """
    yield from defects(view, adapter.ref, Defect.SYNTAX, Defect.UNREADABLE, Defect.ENCODING, Defect.EMPTY)


@rule("AD-012", Adapter, severity=Severity.WARNING)
def trained_on_another_model(adapter: Adapter, view: View) -> Iterator[Breach]:
    """The adapter's folder names another base model than the manifest.

    Whoever trained it wrote the name of the base model into adapter_config.json. Only the last part is compared,
    because the same model has other paths on other machines.

    Bad:
        kind: Adapter
        spec:
          location: adapters/of-another-model
          model: tiny-llama  # <-
    Good:
        kind: Adapter
        spec:
          location: adapters/imported
          model: tiny-llama
    """
    facts = view.facts(adapter.ref, AdapterFacts)
    model = view.get(view.graph.target(adapter.ref, "spec", "model"), Model)
    if facts is None or model is None or not facts.base_model:
        return
    if not is_named(facts.base_model, model):
        message = f"{adapter.spec.location!r} says it was trained on {facts.base_model!r}, not on {model.ref}"
        yield Breach("spec.model", message, "name the Model it was trained on, or correct adapter_config.json")


@rule("AD-013", Adapter)
def name_of_a_produced_adapter(adapter: Adapter, view: View) -> Iterator[Breach]:
    """A job produces an adapter of this name, and the manifest does not say that this is it.

    Then one name stands for two sets of weights.

    Bad:
        kind: Adapter
        metadata:
          name: ticket-router
        spec:  # <-
          type: project
          location: adapters/imported
    Good:
        kind: Adapter
        metadata:
          name: ticket-router
        spec:
          fine_tuning_job: router
          location: ""
    """
    producers = view.graph.producers.get(adapter.metadata.name, ())
    if producers and adapter.spec.fine_tuning_job not in {job.name for job in producers}:
        message = f"{producers[0]} produces an adapter of this name"
        hint = f"write fine_tuning_job: {producers[0].name}, or rename the adapter"
        yield Breach("spec.fine_tuning_job", message, hint)


@rule("AD-014", Adapter)
def job_trains_another_model(adapter: Adapter, view: View) -> Iterator[Breach]:
    """The job that produces the adapter trains another base model than the manifest names.

    Bad:
        kind: Adapter
        spec:
          fine_tuning_job: router
          model: hub-llama  # <-
    Good:
        kind: Adapter
        spec:
          fine_tuning_job: router
          model: tiny-llama
    """
    model = view.graph.target(adapter.ref, "spec", "model")
    job = view.graph.target(adapter.ref, "spec", "fine_tuning_job")
    trained = view.graph.target(job, "spec", "base_model") if job else None
    if model and trained and model != trained:
        yield Breach("spec.model", f"{job} trains {trained}, not {model}", f"write model: {trained.name}")
