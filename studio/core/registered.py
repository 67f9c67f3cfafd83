"""What a workspace's model registry knows an exported model as."""

from __future__ import annotations

from studio.core.record import Record

MODEL_PATH = "model"
"""Where an export's MLflow run has the model, among its artifacts."""


class Registered(Record):
    """A version of a registered model; ``place`` is the backend whose workspace it is in."""

    model_id: str
    version: str
    run_id: str
    place: str


class Unregistering(Record):
    """What is to be taken out of a registry, which can only delete a model with all its versions.

    ``own_runs`` are the MLflow runs of versions that nobody else has a record of: with others among them, it stays.
    """

    registered: Registered
    own_runs: tuple[str, ...]
