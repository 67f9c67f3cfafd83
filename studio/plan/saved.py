"""Plans as files: written by ``plan --out``, applied exactly or refused.

A saved plan is the plan's JSON form. To apply it, the plan is made again and compared with the file: whatever moved on
since (environment, state, manifests, data, or the file itself) shows as a difference, and nothing is applied.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from studio.core.errors import StalePlanError, UsageError
from studio.core.json_values import finite
from studio.core.secrets import redact
from studio.plan.actions import PLAN_VERSION, Plan, Refreshed, agreed, to_json
from studio.plan.selection import Selection, from_json

MAX_BYTES = 256 << 20
"""Far above the plan of 100,000 resources; what is larger is no plan."""
AGAIN = "make the plan again with 'studio plan --out FILE', and have it reviewed"
_SHAPE: dict[str, type] = {
    "version": int, "environment": str, "lineage": str, "serial": int, "manifest_digest": str, "selection": dict,
    "variables": dict, "refreshed": str, "actions": list,
}  # fmt: skip
SHOWN = 3
"""Differing resources named in a refusal."""


def text(plan: Plan) -> str:
    """The file's content: sorted keys, secrets hidden; the same plan gives the same bytes."""
    return (
        redact(json.dumps(finite(to_json(plan)), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)) + "\n"
    )


def content(plan: Plan) -> dict[str, Any]:
    """The plan as a file would hold it."""
    found: dict[str, Any] = json.loads(text(plan))
    return found


def read(path: Path) -> dict[str, Any]:
    """A saved plan; raises UsageError for what is none, StalePlanError for one of another format."""
    if path.exists() and not (path.is_file() or path.is_dir()):  # a pipe would be waited for
        raise UsageError(f"{path} is no regular file", "name the file that 'plan --out' wrote")
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
        found = json.loads(raw) if len(raw) <= MAX_BYTES else None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", "name the file that 'plan --out' wrote") from error
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("version"), int):
        raise UsageError(f"{path} is not a saved plan", "make one with 'studio plan --out FILE'")
    if found["version"] != PLAN_VERSION:
        message = f"{path} is a plan of format {found['version']}; this studio reads format {PLAN_VERSION}"
        raise StalePlanError(message, AGAIN)
    broken = [key for key, kind in _SHAPE.items() if not isinstance(found.get(key), kind)]
    if broken:
        raise UsageError(f"{path} is damaged: {broken[0]} is missing or of the wrong type", AGAIN)
    return found


def selection(saved: dict[str, Any]) -> Selection:
    """What the saved plan is about, so that it can be made again; raises UsageError when the file was damaged."""
    try:
        found = from_json(saved["selection"])
    except ValueError as error:
        raise UsageError(f"the plan is damaged: its selection is {error}", AGAIN) from error
    if found.destroy:
        raise UsageError("the plan is one of 'studio destroy'", "run that again: it shows what goes, and asks")
    return found


def variables(saved: dict[str, Any]) -> dict[str, str]:
    """Values of variables that were given when the plan was made. Raises UsageError when they cannot be any."""
    found: dict[str, Any] = saved["variables"]
    if not all(isinstance(value, str) for value in found.values()):
        raise UsageError("the saved plan is damaged: variables are not texts", AGAIN)
    return found


def refreshed(saved: dict[str, Any]) -> Refreshed:
    """Whether records are to be compared with what is there, as they were for the saved plan."""
    try:
        return Refreshed(saved["refreshed"])
    except ValueError as error:
        raise UsageError("the plan is damaged: refreshed is none of not, offline, online", AGAIN) from error


def demand_same(saved: dict[str, Any], plan: Plan) -> None:
    """Raise StalePlanError unless ``plan``, as it is made now, is the saved one."""
    before, after = agreed(saved), agreed(content(plan))
    if before == after:
        return
    words = next((told for told in (tell(before, after) for tell in _TELL) if told), "its content was changed")
    raise StalePlanError(f"the plan is stale: {words}; nothing was applied", AGAIN)


def _environment(saved: dict[str, Any], now: dict[str, Any]) -> str:
    if saved["environment"] == now["environment"]:
        return ""
    return f"it is for environment {saved['environment']!r}, not {now['environment']!r}"


def _lineage(saved: dict[str, Any], now: dict[str, Any]) -> str:
    if saved["lineage"] == now["lineage"]:
        return ""
    if not saved["lineage"]:
        return "state was empty when it was made, and is not now"
    return "it was made against another state"


def _serial(saved: dict[str, Any], now: dict[str, Any]) -> str:
    if saved["serial"] == now["serial"]:
        return ""
    return f"state was changed since it was made (serial {saved['serial']}, now {now['serial']})"


def _digest(saved: dict[str, Any], now: dict[str, Any]) -> str:
    if saved["manifest_digest"] == now["manifest_digest"]:
        return ""
    return "manifests, settings or the data they name were changed since it was made" + _differing(saved, now)


def _actions(saved: dict[str, Any], now: dict[str, Any]) -> str:
    differing = _differing(saved, now)
    return f"what would happen is different now{differing}" if differing else ""


def _differing(saved: dict[str, Any], now: dict[str, Any]) -> str:
    """The first resources whose actions differ, in words."""
    old, new = _by_resource(saved), _by_resource(now)
    names = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    shown = ", ".join(repr(name)[1:-1][:80] for name in names[:SHOWN])  # the file may hold anything
    return f" ({shown}{more})" if names else ""


def _by_resource(plan: dict[str, Any]) -> dict[str, Any]:
    return {str(action.get("resource")): action for action in plan["actions"] if isinstance(action, dict)}


_TELL: tuple[Callable[[dict[str, Any], dict[str, Any]], str], ...] = (
    _environment, _lineage, _serial, _digest, _actions,
)  # fmt: skip
"""What may have moved on, the most telling first."""
