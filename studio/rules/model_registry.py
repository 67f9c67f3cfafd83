"""MD: models of a CML workspace's registry."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core.findings import Phase
from studio.resources.model import Model
from studio.rules.base import Breach, View, rule
from studio.rules.hub_answers import useless


@rule("MD-003", Model, phase=Phase.ONLINE)
def not_in_registry(model: Model, view: View) -> Iterator[Breach]:
    """The model registry does not show such a model, or its first version was not logged with MLflow.

    The weights are found through the MLflow run of the first version: without experiment and run there is nothing to
    train on. Nor is there when no workspace can be asked: the weights are only there.

    Bad:
        kind: Model
        spec:
          type: model_registry
          cml_registered_model_id: abcd-1234-efgh-0000  # <-
    Good:
        kind: Model
        spec:
          type: model_registry
          cml_registered_model_id: abcd-1234-efgh-5678
    """
    yield from useless(model, view)
