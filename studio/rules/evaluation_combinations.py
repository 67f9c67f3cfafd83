"""EV: the combinations of model and adapter that an evaluation compares."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core.suggest import did_you_mean
from studio.resources.evaluation_job import EvaluationJob, ModelAdapterCombination
from studio.rules.base import Breach, View, rule

COMBINATIONS = ("spec", "model_adapter_combinations")


@rule("EV-001", EvaluationJob)
def no_combination(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """The evaluation lists no model to evaluate.

    Bad:
        kind: EvaluationJob
        metadata:
          name: comparison
        spec:
          model_adapter_combinations: []  # <-
          gates: []
    Good:
        kind: EvaluationJob
        metadata:
          name: comparison
        spec:
          model_adapter_combinations:
            - base_model: tiny-llama
          gates: []
    """
    if not job.spec.model_adapter_combinations:
        hint = "list at least one, such as {base_model: NAME}; the first one is the baseline"
        yield Breach(COMBINATIONS, "model_adapter_combinations is empty", hint)


@rule("EV-005", EvaluationJob)
def unknown_base_model(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """A combination names no base model, or one that no Model has the name of.

    Bad:
        kind: EvaluationJob
        metadata:
          name: comparison
        spec:
          model_adapter_combinations:
            - base_model: tiny-lama  # <-
            - base_model: tiny-llama
              adapter: ticket-router
          gates: []
    Good:
        kind: EvaluationJob
        metadata:
          name: comparison
        spec:
          model_adapter_combinations:
            - base_model: tiny-llama
            - base_model: tiny-llama
              adapter: ticket-router
    """
    for index, combination in enumerate(job.spec.model_adapter_combinations):
        path = (*COMBINATIONS, index, "base_model")
        if view.graph.target(job.ref, *path) is None:
            name = combination.base_model
            what = f"no Model is named {name!r}" if name else "base_model is missing"
            yield Breach(path, what, did_you_mean(name, view.graph.names("Model")))


@rule("EV-006", EvaluationJob)
def unknown_adapter(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """A combination names an adapter that no Adapter has the name of and that no job produces.

    Leave it out to evaluate the base model alone.

    Bad:
        kind: EvaluationJob
        metadata:
          name: comparison
        spec:
          model_adapter_combinations:
            - base_model: tiny-llama
            - base_model: tiny-llama
              adapter: ticket-routr  # <-
          gates: []
    Good:
        kind: EvaluationJob
        metadata:
          name: comparison
        spec:
          model_adapter_combinations:
            - base_model: tiny-llama
            - base_model: tiny-llama
              adapter: ticket-router
    """
    for index, combination in enumerate(job.spec.model_adapter_combinations):
        path = (*COMBINATIONS, index, "adapter")
        if combination.adapter and view.graph.target(job.ref, *path) is None:
            hint = did_you_mean(combination.adapter, view.graph.names("Adapter"))
            yield Breach(path, f"no Adapter is named {combination.adapter!r} and no job produces it", hint)


@rule("EV-015", EvaluationJob)
def repeated_combination(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """The same combination is listed twice.

    It would be evaluated twice, with the same result, at twice the cost.

    Bad:
        kind: EvaluationJob
        metadata:
          name: comparison
        spec:
          model_adapter_combinations:
            - {base_model: tiny-llama, adapter: ticket-router}
            - {base_model: tiny-llama, adapter: ticket-router}  # <-
          gates: []
    Good:
        kind: EvaluationJob
        metadata:
          name: comparison
        spec:
          model_adapter_combinations:
            - {base_model: tiny-llama}
            - {base_model: tiny-llama, adapter: ticket-router}
    """
    first: dict[ModelAdapterCombination, int] = {}
    for index, combination in enumerate(job.spec.model_adapter_combinations):
        before = first.setdefault(combination, index)
        if before != index:
            message = f"combination {index + 1} is the same as combination {before + 1}"
            yield Breach((*COMBINATIONS, index), message, "remove one of them")


@rule("EV-016", EvaluationJob)
def adapter_of_another_model(job: EvaluationJob, view: View) -> Iterator[Breach]:
    """A combination applies an adapter to another base model than it was made for.

    An adapter's weights have the shapes of its own base model. On another one they do not fit, or worse, they fit and
    mean nothing.

    Bad:
        kind: EvaluationJob
        metadata:
          name: comparison
        spec:
          model_adapter_combinations:
            - base_model: tiny-llama
            - base_model: hub-llama
              adapter: ticket-router  # <-
          gates: []
    Good:
        kind: EvaluationJob
        metadata:
          name: comparison
        spec:
          model_adapter_combinations:
            - base_model: tiny-llama
            - base_model: tiny-llama
              adapter: ticket-router
    """
    for index, combination in enumerate(job.spec.model_adapter_combinations):
        base = view.graph.target(job.ref, *COMBINATIONS, index, "base_model")
        adapter = view.graph.target(job.ref, *COMBINATIONS, index, "adapter")
        made_for = view.base_of(adapter) if adapter else None
        if base and made_for and base != made_for:
            message = f"the adapter {combination.adapter!r} is made for {made_for}, not for {base}"
            yield Breach((*COMBINATIONS, index, "adapter"), message, f"write base_model: {made_for.name}")
