"""MD: base models (guide, Model Import Validation)."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core.enumerations import members
from studio.core.suggest import did_you_mean
from studio.load import chat_templates
from studio.load.observation import Defect
from studio.resources.model import Model, ModelFacts, ModelFramework, ModelType
from studio.rules.base import Breach, View, defects, rule


@rule("MD-001", Model)
def unknown_type(model: Model, view: View) -> Iterator[Breach]:
    """The type of the model is missing or unknown.

    It says where the weights come from.

    Bad:
        kind: Model
        spec:
          type: hugging_face  # <-
    Good:
        kind: Model
        spec:
          type: project
    """
    found = model.spec.type
    if found not in members(ModelType):
        message = f"type is {found!r}; it must be one of {', '.join(ModelType)}" if found else "type is missing"
        yield Breach("spec.type", message, did_you_mean(found, ModelType))


@rule("MD-004", Model)
def missing_folder(model: Model, view: View) -> Iterator[Breach]:
    """The folder of a model in the project is not given or does not exist.

    Bad:
        kind: Model
        spec:
          location: models/tiny-lama  # <-
    Good:
        kind: Model
        spec:
          location: models/tiny-llama
    """
    if model.spec.type == ModelType.PROJECT and not model.spec.location:
        hint = "name a folder that holds the model, as save_pretrained writes it"
        yield Breach("spec.location", "location is missing; the type project needs one", hint)
    yield from defects(view, model.ref, Defect.MISSING)


@rule("MD-005", Model)
def incomplete_folder(model: Model, view: View) -> Iterator[Breach]:
    """The model's folder lacks its configuration, its tokenizer or its weights.

    All three are needed to load it; a job would find out after its GPU was allocated.

    Bad:
        kind: Model
        spec:
          location: models/no-tokenizer  # <-
    Good:
        kind: Model
        spec:
          location: models/tiny-llama
    """
    yield from defects(view, model.ref, Defect.INCOMPLETE)


@rule("MD-006", Model)
def pickled_weights(model: Model, view: View) -> Iterator[Breach]:
    """The model's folder holds pickled weights only.

    A pickle can run any code when it is read. Safetensors hold numbers and nothing else.

    Bad:
        kind: Model
        spec:
          location: models/pickled  # <-
    Good:
        kind: Model
        spec:
          location: models/tiny-llama
    """
    yield from defects(view, model.ref, Defect.PICKLE)


@rule("MD-007", Model)
def unreadable_folder(model: Model, view: View) -> Iterator[Breach]:
    """The model's configuration is not valid JSON, or its files cannot be read.

    Bad:
        kind: Model
        spec:
          location: models/broken  # <-
    Good:
        kind: Model
        spec:
          location: models/tiny-llama
    """
    yield from defects(view, model.ref, Defect.SYNTAX, Defect.UNREADABLE, Defect.ENCODING, Defect.EMPTY)


@rule("MD-009", Model)
def no_registry_id(model: Model, view: View) -> Iterator[Breach]:
    """A model of the registry has no id there.

    Bad:
        kind: Model
        spec:
          type: model_registry
          cml_registered_model_id: ""  # <-
    Good:
        kind: Model
        spec:
          type: model_registry
          cml_registered_model_id: abcd-1234-efgh-5678
    """
    if model.spec.type == ModelType.MODEL_REGISTRY and not model.spec.cml_registered_model_id.strip():
        hint = "copy the id from the model registry of the workspace"
        yield Breach("spec.cml_registered_model_id", "cml_registered_model_id is missing", hint)


@rule("MD-010", Model)
def unknown_framework(model: Model, view: View) -> Iterator[Breach]:
    """The framework of the weights is unknown.

    Bad:
        kind: Model
        spec:
          framework: torch  # <-
    Good:
        kind: Model
        spec:
          framework: pytorch
    """
    found = model.spec.framework
    if found not in members(ModelFramework):
        message = f"framework is {found!r}; it must be one of {', '.join(ModelFramework)}"
        yield Breach("spec.framework", message, did_you_mean(found, ModelFramework))


@rule("MD-014", Model)
def broken_chat_template(model: Model, view: View) -> Iterator[Breach]:
    """The chat template that the model's tokenizer was saved with is no Jinja.

    It is parsed here, and nothing of it runs. Nobody could talk to the model, whether it is trained or not.

    Bad:
        kind: Model
        spec:
          location: models/broken-template  # <-
    Good:
        kind: Model
        spec:
          location: models/tiny-llama
    """
    found = chat_templates.flaw_of_own(model.spec, view.root) if view.facts(model.ref, ModelFacts) else None
    if found:
        yield Breach("spec.location", *found)
