"""The plan: a value that says what would happen to every resource, and why, and its JSON form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from studio.core.fingerprints import digest
from studio.core.jobspec import Resources
from studio.core.references import Ref
from studio.plan.diff import Change
from studio.plan.premises import Disclosure, Lack, disclosure_json, lack_json
from studio.plan.selection import WHOLE, Selection
from studio.plan.selection import to_json as selection_json
from studio.plan.spend import Bill, Spend, asking, bill, bill_json, spend_json
from studio.resources.base import Effect

PLAN_VERSION = 2
LIMIT_PERCENT = 30
"""So much of what is recorded may be deleted or replaced without being asked for with --force."""
LIMIT_FROM = 10
"""Recorded resources from which on the limit counts: in a small project any change is a large share."""
NEW = "not recorded yet"
"""The reason that goes without saying."""
NAMED = 3
"""Causes named in a reason; the others are counted there and listed below it."""


_MOVING = frozenset({"attaches", "spend", "saves", "judges"})
"""Of an action, what moves on while nothing else does."""


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
REMOVES = frozenset({Verb.DELETE, Verb.FORGET})
"""Verbs after which nothing is recorded any more."""


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
    only_waits: bool = False
    """Were no job under way, there would be nothing to run: it is waited for, and not begun again once cancelled."""
    memory: int | None = None
    """Bytes that the job's largest process will probably need; None where nobody can tell."""
    fresh: bool = False
    """The job starts from nothing, although the same work was done before."""
    revises: bool = False
    """A small job carries out what changed, where the thing is; nothing is made again."""
    spend: Spend | None = None
    """What the job will probably take; of a reuse what it took to make what is reused."""
    moved_from: Ref | None = None
    """The name under which it is recorded so far; the record moves first."""
    held: str = ""
    """Why an export will not be performed, as things are recorded."""
    sweep: Ref | None = None
    """The sweep that this is a trial of."""
    trials: tuple[Ref, ...] = ()
    """Of a sweep, what it chooses among."""
    disclosures: tuple[Disclosure, ...] = ()
    """Rows that its job shows to judges."""

    @property
    def dispatches(self) -> bool:
        return self.resources is not None and self.verb in RUNS

    @property
    def chooses(self) -> bool:
        """Whether a sweep's best trial is to be found."""
        return bool(self.trials) and self.verb is not Verb.NONE


class Refreshed(StrEnum):
    """Whether records were compared with what is there, and whether the hub was asked too."""

    NOT = "not"
    OFFLINE = "offline"
    ONLINE = "online"


class Move(NamedTuple):
    """A record gets another name; its uid, its runs and what it produced stay with it."""

    old: Ref
    new: Ref


@dataclass(frozen=True, slots=True)
class Kept:
    """A recorded resource without a manifest that stays, and why."""

    ref: Ref
    reason: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A resource that --target or --exclude leaves alone, and what would happen to it otherwise."""

    ref: Ref
    verb: Verb


@dataclass(frozen=True, slots=True)
class Safety:
    """How much of what is recorded a plan deletes or replaces."""

    recorded: int
    removed: int
    replaced: int
    asked: bool
    """The plan is for a destroy: that everything goes is what was asked for."""

    @property
    def exceeded(self) -> bool:
        """Whether apply needs --force."""
        touched = self.removed + self.replaced
        return not self.asked and self.recorded >= LIMIT_FROM and touched * 100 > self.recorded * LIMIT_PERCENT


@dataclass(frozen=True, slots=True)
class Plan:
    """Actions in dependency order, then what is removed, dependants first; the same input gives the same plan."""

    environment: str
    lineage: str
    serial: int
    manifest_digest: str
    actions: tuple[Action, ...]
    kept: tuple[Kept, ...] = ()
    """Recorded resources without a manifest that stay."""
    left: tuple[Ref, ...] = ()
    """Resources with a job under way for an earlier version of them; no action waits for it."""
    left_out: tuple[LeftOut, ...] = ()
    selection: Selection = WHOLE
    recorded: int = 0
    """Resources that are recorded, with and without a manifest."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Values of variables that were given on the command line."""
    refreshed: Refreshed = Refreshed.NOT
    warnings: tuple[str, ...] = ()
    """What manifests ask for in vain, in words."""
    lacking: tuple[Lack, ...] = ()
    """What this machine does not have, and jobs of the plan need: apply refuses to begin here."""
    version: int = PLAN_VERSION

    @property
    def pending(self) -> tuple[Action, ...]:
        return tuple(action for action in self.actions if action.verb is not Verb.NONE)

    @property
    def bill(self) -> Bill:
        """What all jobs that will run take together."""
        jobs = (action for action in self.actions if action.dispatches)
        return bill(job.spend or asking(job.resources) for job in jobs if job.resources)

    @property
    def savings(self) -> Bill:
        """What all reuses spare."""
        return bill(action.spend for action in self.actions if action.spend and action.verb is Verb.REUSE)

    @property
    def moves(self) -> tuple[Move, ...]:
        """Records that get another name before anything else happens."""
        return tuple(Move(action.moved_from, action.ref) for action in self.actions if action.moved_from)

    @property
    def counts(self) -> dict[Verb, int]:
        counted = Counter(action.verb for action in self.actions)
        return {verb: counted[verb] for verb in Verb}

    @property
    def safety(self) -> Safety:
        removed = sum(action.verb in REMOVES for action in self.actions)
        return Safety(self.recorded, removed, self.counts[Verb.REPLACE], self.selection.destroy)


def leading(changes: tuple[Change, ...]) -> list[Change]:
    """What forces the action, else all that changed."""
    return [change for change in changes if change.effect is Effect.OUTCOME] or list(changes)


def to_json(plan: Plan) -> dict[str, Any]:
    """The plan as JSON data: the documented, versioned form, with the digest of what is agreed to."""
    told = _told(plan)
    return {**told, "digest": digest(agreed(told))}


def agreed(told: dict[str, Any]) -> dict[str, Any]:
    """A plan's data without what may change while nothing else does: a job of an earlier apply that has ended in the
    meantime, what is foretold of jobs from runs that any environment may have added, and what a machine has."""
    actions = [
        {key: value for key, value in action.items() if key not in _MOVING} if isinstance(action, dict) else action
        for action in told["actions"]
    ]
    return {**told, "actions": actions, "left_running": [], "lacking": [], "spend": None, "saved": None}


def _told(plan: Plan) -> dict[str, Any]:
    return {
        "version": plan.version,
        "environment": plan.environment,
        "lineage": plan.lineage,
        "serial": plan.serial,
        "manifest_digest": plan.manifest_digest,
        "refreshed": plan.refreshed.value,
        "selection": selection_json(plan.selection),
        "variables": dict(sorted(plan.variables.items())),
        "actions": [_action_json(action) for action in plan.actions],
        "kept": [{"resource": str(each.ref), "reason": each.reason} for each in plan.kept],
        "left_out": [{"resource": str(each.ref), "action": each.verb.value} for each in plan.left_out],
        "left_running": [str(ref) for ref in plan.left],
        "spend": bill_json(plan.bill),
        "saved": bill_json(plan.savings),
        "warnings": list(plan.warnings),
        "lacking": [lack_json(each) for each in plan.lacking],
        "counts": {verb.value: count for verb, count in plan.counts.items()} | {"move": len(plan.moves)},
        "safety": _safety_json(plan.safety),
    }


def _safety_json(safety: Safety) -> dict[str, Any]:
    return {
        "recorded": safety.recorded,
        "removed": safety.removed,
        "replaced": safety.replaced,
        "limit_percent": LIMIT_PERCENT,
        "needs_force": safety.exceeded,
    }


def _action_json(action: Action) -> dict[str, Any]:
    return {
        "resource": str(action.ref),
        "action": action.verb.value,
        "reason": action.reason,
        "attaches": action.attaches,
        "fresh": action.fresh,
        "revises": action.revises,
        "held_back": action.held,
        "moved_from": str(action.moved_from) if action.moved_from else None,
        "fingerprint": action.fingerprint,
        "sweep": str(action.sweep) if action.sweep else None,
        "trials": [str(ref) for ref in action.trials],
        "changes": [{**asdict(change), "effect": change.effect.value} for change in action.changes],
        "needs": [str(ref) for ref in action.needs],
        "judges": [disclosure_json(each) for each in action.disclosures],
        "resources": action.resources.model_dump(exclude_none=True) if action.resources else None,
        "estimated_memory_bytes": action.memory,
        "spend": spend_json(action.spend if action.dispatches else None),
        "saves": spend_json(action.spend if action.verb is Verb.REUSE else None),
    }
