"""What is in a workspace's model registry: what jobs load from there, and what exports are known as there."""

from __future__ import annotations

from pydantic import Field

from studio.core.record import Record

MODEL_PATH = "model"
"""Where an export's MLflow run has the model, among its artifacts."""
LOGGED_FOLDER = ".studio/logged"
"""Where models and adapters of a workspace's registry are fetched to, by the MLflow run that logged them."""


class Logged(Record):
    """The MLflow run that logged a model or an adapter of a workspace's registry; its files are found in there."""

    experiment_id: str
    run_id: str = Field(pattern=r"^[A-Za-z0-9_-]{1,128}$")


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
