"""The endpoint that a record tells of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from studio.state.base import Record


def endpoint(record: Record | None) -> Mapping[str, Any]:
    """What was deployed (``core.endpoint.DeploymentOutput``); empty for what is none."""
    output: dict[str, Any] = (record.outcome.get("output") or {}) if record else {}
    return output if output.get("task") == "deployment" else {}


def is_same(one: Mapping[str, Any], two: Mapping[str, Any]) -> bool:
    """Whether two records are of one endpoint; they may have come to other builds of it."""
    return bool(one) and all(one[name] == two.get(name) for name in ("model_id", "place"))
