"""MD: models of the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core.findings import Phase, Severity
from studio.load.hub import HubFault, is_commit
from studio.resources.model import Model, ModelType
from studio.rules.base import Breach, View, refused, rule
from studio.rules.hub_answers import on_hub, registry_unreachable, unreachable

NAME = "spec.huggingface_model_name"


@rule("MD-002", Model, phase=Phase.ONLINE)
def not_on_hub(model: Model, view: View) -> Iterator[Breach]:
    """The Hugging Face Hub has no such model, or does not show it to you.

    Private and gated models need a token; the hub does not tell a private one from one that does not exist.

    Bad:
        kind: Model
        spec:
          type: huggingface
          huggingface_model_name: acme/smal-llama  # <-
          revision: 8f0e3c1b5d7a9e2f4c6b8a0d1e3f5a7c9b2d4e6f
    Good:
        kind: Model
        spec:
          type: huggingface
          huggingface_model_name: acme/small-llama
          revision: 8f0e3c1b5d7a9e2f4c6b8a0d1e3f5a7c9b2d4e6f
    """
    answer = on_hub(model, view)
    if isinstance(answer, HubFault):
        yield from refused(answer, NAME, "model", model.spec.huggingface_model_name, model.spec.revision)


@rule("MD-008", Model)
def no_hub_name(model: Model, view: View) -> Iterator[Breach]:
    """A model of the hub has no name there.

    Bad:
        kind: Model
        spec:
          type: huggingface
          huggingface_model_name: ""  # <-
    Good:
        kind: Model
        spec:
          type: huggingface
          huggingface_model_name: acme/small-llama
    """
    if model.spec.type == ModelType.HUGGINGFACE and not model.spec.huggingface_model_name.strip():
        yield Breach(NAME, "huggingface_model_name is missing", "write owner/name, as on the hub")


@rule("MD-011", Model, severity=Severity.WARNING)
def revision_not_pinned(model: Model, view: View) -> Iterator[Breach]:
    """The revision is not a commit, so the weights can change under the same manifest.

    A branch or a tag moves. Then an adapter is trained on one base and served on another.

    Bad:
        kind: Model
        spec:
          type: huggingface
          huggingface_model_name: acme/small-llama
          revision: main  # <-
    Good:
        kind: Model
        spec:
          type: huggingface
          huggingface_model_name: acme/small-llama
          revision: 8f0e3c1b5d7a9e2f4c6b8a0d1e3f5a7c9b2d4e6f
    """
    spec = model.spec
    if spec.type == ModelType.HUGGINGFACE and spec.huggingface_model_name.strip() and not is_commit(spec.revision):
        what = f"revision {spec.revision!r} is not a commit" if spec.revision else "revision is missing"
        hint = "write the 40 digits of a commit, from the model's history on the hub"
        yield Breach("spec.revision", f"{what}; the weights may change", hint)


@rule("MD-012")
def same_hub_model_twice(view: View) -> Iterator[Breach]:
    """The same model of the hub is registered twice.

    Adapters of one would be refused on the other, though both are the same weights. Another revision is another model.

    Bad:
        kind: Model
        metadata:
          name: llama-again
        spec:
          type: huggingface
          huggingface_model_name: acme/tiny-llama  # <-
          revision: 8f0e3c1b5d7a9e2f4c6b8a0d1e3f5a7c9b2d4e6f
    Good:
        kind: Model
        metadata:
          name: llama-again
        spec:
          type: huggingface
          huggingface_model_name: acme/tiny-llama
          revision: 0123456789abcdef0123456789abcdef01234567
    """
    first: dict[tuple[str, str], Model] = {}
    for model, source in view.each(Model):
        name = model.spec.huggingface_model_name.strip()
        if model.spec.type == ModelType.HUGGINGFACE and name:
            before = first.setdefault((name, model.spec.revision), model)
            if before is not model:
                message, hint = f"{name!r} is already registered as {before.ref}", f"use {before.ref} in its place"
                yield Breach(NAME, message, hint, model.ref, source)


@rule("MD-013", Model, severity=Severity.WARNING, phase=Phase.ONLINE)
def hub_unreachable(model: Model, view: View) -> Iterator[Breach]:
    """The Hugging Face Hub or the model registry could not be asked about models there.

    Nothing is wrong with the manifests as far as anyone can tell; but nobody has checked. It is said once, at the first
    of them, and by DS-014 where data sets were not checked either.

    Bad:
        kind: Model
        spec:
          type: huggingface
          huggingface_model_name: acme/flaky  # <-
          revision: 8f0e3c1b5d7a9e2f4c6b8a0d1e3f5a7c9b2d4e6f
    Good:
        kind: Model
        spec:
          type: huggingface
          huggingface_model_name: acme/small-llama
          revision: 8f0e3c1b5d7a9e2f4c6b8a0d1e3f5a7c9b2d4e6f
    """
    yield from unreachable(view, model.ref, NAME)
    yield from registry_unreachable(view, model.ref)
