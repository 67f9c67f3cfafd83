"""The endpoint that a record tells of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from studio.core.endpoint import DeploymentOutput, EndpointSize
from studio.state.base import Record


def endpoint(record: Record | None) -> Mapping[str, Any]:
    """What was deployed (``core.endpoint.DeploymentOutput``); empty for what is none."""
    output = record.outcome.get("output") if record else None
    try:
        return DeploymentOutput.model_validate(output).model_dump(mode="json")
    except ValidationError:
        return {}


def is_same(one: Mapping[str, Any], two: Mapping[str, Any]) -> bool:
    """Whether two records are of one endpoint; they may have come to other builds of it."""
    return bool(one) and all(one[name] == two.get(name) for name in ("model_id", "place"))


def facts(output: Mapping[str, Any]) -> dict[str, Any]:
    """What can be looked at of an endpoint, as it was recorded."""
    return {
        "endpoint": "there",
        "endpoint.build": output["build_id"],
        "endpoint.status": "deployed",
        "endpoint.size": str(EndpointSize(**output["size"])),
        "endpoint.description": output["description"],
        "endpoint.authentication": output["authentication"],
    }
