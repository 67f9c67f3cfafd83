"""Work that a workspace does itself, without a job: endpoints are deployed, changed in place and withdrawn."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from studio.core.kept import Kept
from studio.core.record import Record

ENDPOINT_TASKS = frozenset({"deployment", "adjustment", "withdrawal"})
"""``work.task`` of all of it."""
PREDICT_SCRIPT, PREDICT_FUNCTION = "cml/predict.py", "predict"
"""What a build serves, relative to the project."""


class EndpointSize(Record):
    """What each replica of an endpoint has, memory in GB, and how many there are.

    Defaults: guide, CML Model Serving, Endpoint Creation Flow.
    """

    cpu: float = 2
    memory: float = 8
    gpu: int = 1
    replicas: int = 1

    def __str__(self) -> str:
        each = f"{self.cpu:g} CPU, {self.memory:g} GB, {self.gpu} GPU"
        return each if self.replicas == 1 else f"{self.replicas} x {each}"


class DeploymentWork(Record):
    """Serve a base model of the hub with an adapter as an endpoint of a workspace."""

    task: Literal["deployment"] = "deployment"
    base_model: str
    """Its name on the hub."""
    revision: str = ""
    adapter: str
    """A folder, relative to the project."""
    digest: str = ""
    """Of the adapter's files; other content is not copied to where builds find it."""
    kept: Kept | None = None
    model_name: str
    model_id: str = ""
    """The endpoint that the same resource has under this name; "" for none."""
    supersedes: str = ""
    """Id of the endpoint that goes once this one is up: the same resource had it under another name."""
    owner: str = ""
    """Resource and environment that it is for, in words; no two share an endpoint by accident."""
    description: str = ""
    generation: dict[str, Any] = Field(default_factory=dict)
    size: EndpointSize = EndpointSize()
    authentication: bool = True


class AdjustmentWork(Record):
    """Change an endpoint in place: what it says of itself, and what its replicas have. Nothing is built."""

    task: Literal["adjustment"] = "adjustment"
    model_name: str
    model_id: str
    build_id: str
    description: str = ""
    size: EndpointSize = EndpointSize()


class WithdrawalWork(Record):
    """Take an endpoint away. Without an id it is found by its name, if a build of it is by ``made_by``, a job's key."""

    task: Literal["withdrawal"] = "withdrawal"
    model_name: str
    model_id: str = ""
    made_by: str = ""


class DeploymentOutput(Record):
    """An endpoint. ``url`` takes requests, ``page`` is where people look at it.

    ``access_key`` says in words which key callers send and where it is found; its value is nowhere in studio.
    """

    task: Literal["deployment"] = "deployment"
    model_name: str
    model_id: str
    build_id: str
    deployment_id: str
    url: str
    page: str
    access_key: str
    authentication: bool
    description: str
    size: EndpointSize
    place: str
    """The backend that serves it."""


class AdjustmentOutput(Record):
    """What an endpoint is like after a change in place; ``changes`` says in words what was changed."""

    task: Literal["adjustment"] = "adjustment"
    deployment_id: str
    description: str
    size: EndpointSize
    changes: tuple[str, ...] = ()


class WithdrawalOutput(Record):
    """``was_there`` is false when somebody else had taken the endpoint away already."""

    task: Literal["withdrawal"] = "withdrawal"
    model_name: str
    was_there: bool
