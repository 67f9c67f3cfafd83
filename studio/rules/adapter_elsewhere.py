"""AD: adapters of the Hugging Face Hub and of a CML workspace's registry."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core.findings import Phase, Severity
from studio.load.adapters import is_named
from studio.load.hub import HubFault, HubInfo
from studio.resources.adapter import Adapter
from studio.resources.model import Model
from studio.rules.base import Breach, View, refused, rule
from studio.rules.hub_answers import on_hub, registry_unreachable, unreachable, useless

NAME = "spec.huggingface_name"


@rule("AD-016", Adapter, phase=Phase.ONLINE)
def not_on_hub(adapter: Adapter, view: View) -> Iterator[Breach]:
    """The Hugging Face Hub has no such adapter, or does not show it to you.

    Private and gated adapters need a token; the hub does not tell a private one from one that does not exist.

    Bad:
        kind: Adapter
        spec:
          type: huggingface
          huggingface_name: acme/tiket-router  # <-
          revision: 8f0e3c1b5d7a9e2f4c6b8a0d1e3f5a7c9b2d4e6f
    Good:
        kind: Adapter
        spec:
          type: huggingface
          huggingface_name: acme/ticket-router
          revision: 8f0e3c1b5d7a9e2f4c6b8a0d1e3f5a7c9b2d4e6f
    """
    answer = on_hub(adapter, view)
    if isinstance(answer, HubFault):
        yield from refused(answer, NAME, "adapter", adapter.spec.huggingface_name, adapter.spec.revision)


@rule("AD-017", Adapter, phase=Phase.ONLINE)
def no_adapter_on_hub(adapter: Adapter, view: View) -> Iterator[Breach]:
    """What the Hugging Face Hub has under the name is no adapter, or one without safetensors.

    PEFT needs adapter_config.json and adapter_model.safetensors. Pickled weights can run code when they are read, and
    are refused. A whole model is a Model.

    Bad:
        kind: Adapter
        spec:
          type: huggingface
          huggingface_name: acme/small-llama  # <-
          revision: 8f0e3c1b5d7a9e2f4c6b8a0d1e3f5a7c9b2d4e6f
    Good:
        kind: Adapter
        spec:
          type: huggingface
          huggingface_name: acme/ticket-router
          revision: 8f0e3c1b5d7a9e2f4c6b8a0d1e3f5a7c9b2d4e6f
    """
    answer = on_hub(adapter, view)
    if isinstance(answer, HubInfo) and answer.lacking:
        message = f"{adapter.spec.huggingface_name!r} lacks {' and '.join(answer.lacking)} on the hub"
        yield Breach(NAME, message, "name a repository that PEFT's save_pretrained was uploaded to")


@rule("AD-018", Adapter, severity=Severity.WARNING, phase=Phase.ONLINE)
def trained_on_another_hub_model(adapter: Adapter, view: View) -> Iterator[Breach]:
    """The adapter on the Hugging Face Hub names another base model than the manifest.

    Whoever trained it wrote the name of the base model into adapter_config.json. Only the last part is compared,
    because the same model has other paths on other machines.

    Bad:
        kind: Adapter
        spec:
          type: huggingface
          huggingface_name: acme/of-another-model
          revision: 8f0e3c1b5d7a9e2f4c6b8a0d1e3f5a7c9b2d4e6f
          model: tiny-llama  # <-
    Good:
        kind: Adapter
        spec:
          type: huggingface
          huggingface_name: acme/ticket-router
          revision: 8f0e3c1b5d7a9e2f4c6b8a0d1e3f5a7c9b2d4e6f
          model: tiny-llama
    """
    answer, model = on_hub(adapter, view), view.get(view.graph.target(adapter.ref, "spec", "model"), Model)
    if not isinstance(answer, HubInfo) or model is None or not answer.base_model:
        return
    if not is_named(answer.base_model, model):
        name = adapter.spec.huggingface_name
        message = f"{name!r} says on the hub that it was trained on {answer.base_model!r}, not on {model.ref}"
        yield Breach("spec.model", message, "name the Model it was trained on")


@rule("AD-019", Adapter, phase=Phase.ONLINE)
def not_in_registry(adapter: Adapter, view: View) -> Iterator[Breach]:
    """The model registry does not show such an adapter, or its first version was not logged with MLflow.

    The weights are found through the MLflow run of the first version: without experiment and run there is nothing to
    load. Nor is there when no workspace can be asked: the weights are only there.

    Bad:
        kind: Adapter
        spec:
          type: model_registry
          cml_registered_model_id: abcd-1234-efgh-0000  # <-
    Good:
        kind: Adapter
        spec:
          type: model_registry
          cml_registered_model_id: abcd-1234-efgh-5678
    """
    yield from useless(adapter, view)


@rule("AD-020", Adapter, severity=Severity.WARNING, phase=Phase.ONLINE)
def hub_unreachable(adapter: Adapter, view: View) -> Iterator[Breach]:
    """The Hugging Face Hub or the model registry could not be asked about adapters there.

    Nothing is wrong with the manifests as far as anyone can tell; but nobody has checked. It is said once, at the first
    of them, and by DS-014 or MD-013 where data sets or models were not checked either.

    Bad:
        kind: Adapter
        spec:
          type: huggingface
          huggingface_name: acme/flaky  # <-
          revision: 8f0e3c1b5d7a9e2f4c6b8a0d1e3f5a7c9b2d4e6f
    Good:
        kind: Adapter
        spec:
          type: huggingface
          huggingface_name: acme/ticket-router
          revision: 8f0e3c1b5d7a9e2f4c6b8a0d1e3f5a7c9b2d4e6f
    """
    yield from unreachable(view, adapter.ref, NAME)
    yield from registry_unreachable(view, adapter.ref)
