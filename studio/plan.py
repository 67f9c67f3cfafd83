"""The plan: a value that says what would happen to every resource, and why, and its JSON form."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from studio.core.jobspec import Resources
from studio.core.references import Ref
from studio.diff import Change
from studio.resources.base import Effect

PLAN_VERSION = 1
NAMED = 3
"""Causes named in a reason; the others are counted there and listed below it."""


class Verb(StrEnum):
    """What happens to a resource."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    REUSE = "reuse"
    RETRY = "retry"
    DELETE = "delete"
    FORGET = "forget"
    NONE = "none"


RUNS = frozenset({Verb.CREATE, Verb.REPLACE, Verb.RETRY})
"""Verbs that dispatch a job when the kind has one."""


@dataclass(frozen=True, slots=True)
class Action:
    """One resource's fate. ``needs`` are the resources it waits for; ``resources`` what its job will ask for."""

    ref: Ref
    verb: Verb
    fingerprint: str
    changes: tuple[Change, ...] = ()
    needs: tuple[Ref, ...] = ()
    resources: Resources | None = None
    reason: str = ""
    attaches: bool = False
    """An earlier apply left the job running; this one would attach to it."""
    memory: int | None = None
    """Bytes that the job's largest process will probably need; None where nobody can tell."""

    @property
    def dispatches(self) -> bool:
        return self.resources is not None and self.verb in RUNS


@dataclass(frozen=True, slots=True)
class Plan:
    """Actions in dependency order; the same input gives the same plan."""

    environment: str
    lineage: str
    serial: int
    manifest_digest: str
    actions: tuple[Action, ...]
    kept: tuple[Ref, ...] = ()
    """Recorded resources without a manifest; they stay until they are deleted or forgotten."""
    left: tuple[Ref, ...] = ()
    """Resources with a job under way for an earlier version of them; no action waits for it."""
    version: int = PLAN_VERSION

    @property
    def pending(self) -> tuple[Action, ...]:
        return tuple(action for action in self.actions if action.verb is not Verb.NONE)

    @property
    def counts(self) -> dict[Verb, int]:
        counted = Counter(action.verb for action in self.actions)
        return {verb: counted[verb] for verb in Verb}


def leading(changes: tuple[Change, ...]) -> list[Change]:
    """What forces the action, else all that changed."""
    return [change for change in changes if change.effect is Effect.OUTCOME] or list(changes)


def to_json(plan: Plan) -> dict[str, Any]:
    """The plan as JSON data: the documented, versioned form."""
    return {
        "version": plan.version,
        "environment": plan.environment,
        "lineage": plan.lineage,
        "serial": plan.serial,
        "manifest_digest": plan.manifest_digest,
        "actions": [_action_json(action) for action in plan.actions],
        "kept": [str(ref) for ref in plan.kept],
        "left_running": [str(ref) for ref in plan.left],
        "counts": {verb.value: count for verb, count in plan.counts.items()},
    }


def _action_json(action: Action) -> dict[str, Any]:
    return {
        "resource": str(action.ref),
        "action": action.verb.value,
        "reason": action.reason,
        "attaches": action.attaches,
        "fingerprint": action.fingerprint,
        "changes": [{**asdict(change), "effect": change.effect.value} for change in action.changes],
        "needs": [str(ref) for ref in action.needs],
        "resources": action.resources.model_dump(exclude_none=True) if action.resources else None,
        "estimated_memory_bytes": action.memory,
    }
