"""EX: endpoints of a workspace."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core.endpoint import PREDICT_SCRIPT
from studio.core.findings import Severity
from studio.load.files import Place, look
from studio.resources.model_export import ModelExport
from studio.rules.base import Breach, View, rule

LONGEST = 100
"""Letters of a name that still fits into lists and messages of a workspace."""


@rule("EX-016", ModelExport)
def endpoint_of_another_export(export: ModelExport, view: View) -> Iterator[Breach]:
    """Two exports deploy to the same endpoint.

    An endpoint is found by its name and serves one adapter: each apply would take it from the other export.

    Bad:
        kind: Adapter
        metadata:
          name: local-router
        spec:
          type: project
          location: adapters/of-another-model
          model: hub-llama
        ---
        kind: ModelExport
        metadata:
          name: answers
        spec:
          type: cml_model
          base_model: hub-llama
          adapter: local-router
          requires: []
          model_name: desk
        ---
        kind: ModelExport
        metadata:
          name: routes
        spec:
          type: cml_model
          base_model: hub-llama
          adapter: local-router
          requires: []
          model_name: desk  # <-
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
        metadata:
          name: answers
        spec:
          type: cml_model
          base_model: hub-llama
          adapter: local-router
          requires: []
          model_name: desk-answers
        ---
        kind: ModelExport
        metadata:
          name: routes
        spec:
          type: cml_model
          base_model: hub-llama
          adapter: local-router
          requires: []
          model_name: desk-routes
    """
    first = view.once("endpoints", None, lambda: _first(view)).get(export.spec.model_name)
    if export.is_endpoint and export.spec.model_name.strip() and first and first.ref != export.ref:
        message = f"{first.ref} deploys to the endpoint {export.spec.model_name!r} already"
        yield Breach("spec.model_name", message, f"write another name, such as {export.metadata.name}")


def _first(view: View) -> dict[str, ModelExport]:
    """Name of an endpoint to the first export that deploys to it."""
    found: dict[str, ModelExport] = {}
    for export, _ in view.each(ModelExport):
        if export.is_endpoint:
            found.setdefault(export.spec.model_name, export)
    return found


@rule("EX-017", ModelExport, severity=Severity.WARNING)
def open_endpoint(export: ModelExport, view: View) -> Iterator[Breach]:
    """An endpoint answers whoever knows its access key, without asking who it is.

    The access key names the model and cannot be withdrawn from one caller alone: it is in every request, and soon in
    logs and notebooks. Whoever has it reads what the model learned and runs up the bill of its GPU.

    Bad:
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
          enable_authentication: false  # <-
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
          enable_authentication: true
    """
    if export.is_endpoint and not export.spec.enable_authentication:
        message = "without authentication anybody who gets hold of the access key can use the endpoint"
        hint = "remove enable_authentication: false, and give callers model API keys of their own"
        yield Breach("spec.enable_authentication", message, hint)


@rule("EX-018", ModelExport)
def name_unfit_for_endpoint(export: ModelExport, view: View) -> Iterator[Breach]:
    """The endpoint's name is too long, or begins or ends in white space, or holds what cannot be seen.

    The endpoint is found again by its name, letter by letter.

    Bad:
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
          model_name: "ticket-router "  # <-
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
          model_name: ticket-router
    """
    name = export.spec.model_name
    if not export.is_endpoint or not name.strip():
        return
    if name != name.strip() or not name.isprintable():
        seen = "".join(letter for letter in name if letter.isprintable()).strip() or export.metadata.name
        message = f"model_name {name!r} has white space around it, or holds what cannot be seen"
        yield Breach("spec.model_name", message, f"write {seen}")
    elif len(name) > LONGEST:
        message = f"model_name has {len(name)} letters; an endpoint's name may have {LONGEST}"
        yield Breach("spec.model_name", message, "write a shorter one")


@rule("EX-019", ModelExport)
def endpoint_without_predict_script(export: ModelExport, view: View) -> Iterator[Breach]:
    """The project has no script that answers the endpoint's requests.

    A workspace builds an endpoint from the project's files, with cml/predict.py at its root.

    Bad:
        kind: Adapter
        metadata:
          name: local-router
        spec:
          type: project
          location: adapters/of-another-model
          model: hub-llama
        ---
        kind: Project
        spec:
          backend:
            type: cml
            url: https://ml.example.com
            project_id: abcd-1234
        ---
        kind: ModelExport
        spec:
          type: cml_model  # <-
          base_model: hub-llama
          adapter: local-router
          requires: []
    Good:
        kind: ModelExport
        spec:
          type: model_registry
    """
    there = view.settings.spec.backend.type == "local" or look(view.root, PREDICT_SCRIPT) is Place.FILE
    if export.is_endpoint and not there:
        yield Breach("spec.type", f"there is no {PREDICT_SCRIPT} in the project", "'studio init --cml' writes it")
