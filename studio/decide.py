"""Desired against recorded: what happens to every resource, and why. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from studio.core.fingerprints import digest
from studio.core.references import Ref
from studio.desired import REGISTRY, Desire, Desired
from studio.diff import Change, compare_inputs, compare_parts
from studio.load.settings import Project
from studio.plan import NAMED, RUNS, Action, Plan, Verb, leading
from studio.resources import KINDS
from studio.resources.base import Metadata, stored
from studio.state.base import Lineage, Record, RecordStatus

_ELSEWHERE = frozenset({"manifests", "environments", "state", "variables"})
"""Settings that decide nothing about a plan's jobs by themselves."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What planning knows of the past. ``artifacts``: kind to fingerprints; ``gone``: their files have vanished."""

    lineage: Lineage
    records: Mapping[Ref, Record] = field(default_factory=dict)
    artifacts: Mapping[str, frozenset[str]] = field(default_factory=dict)
    gone: frozenset[Ref] = frozenset()
    under_way: frozenset[tuple[Ref, str]] = frozenset()
    """Resource and fingerprint of the jobs that an earlier apply left running."""


def make_plan(desire: Desire, recorded: Recorded, environment: str, settings: Project) -> Plan:
    """Compare what should be with what is recorded. ``settings`` are those in force in the environment."""
    items = [item for item in desire.items.values() if not item.shipped]
    actions = tuple(_action(item, desire, recorded) for item in items)
    kept = tuple(sorted(ref for ref in recorded.records if ref not in desire.items))
    said = _manifest_digest(items, settings)
    return Plan(environment, recorded.lineage.id, recorded.lineage.serial, said, actions, kept)


def with_memory(plan: Plan, needed: Callable[[Ref], int | None]) -> Plan:
    """The plan with an estimate for each job that will run."""
    actions = (replace(each, memory=needed(each.ref)) if each.dispatches else each for each in plan.actions)
    return replace(plan, actions=tuple(actions))


def _manifest_digest(items: list[Desired], settings: Project) -> str:
    """Of what was reviewed: the manifests, their inputs, and where and as what their jobs run.

    Not of where manifests lie, nor of what other environments do. Another state has another lineage.
    """
    resources = {str(i.ref): [i.fingerprint, i.spec, i.metadata] for i in items}
    spec = {name: value for name, value in stored(settings.spec).items() if name not in _ELSEWHERE}
    return digest({"resources": resources, "project": settings.metadata.name, "settings": spec})


def _action(item: Desired, desire: Desire, recorded: Recorded) -> Action:
    kind = KINDS[item.resource.kind]
    record = recorded.records.get(item.ref)
    changes = tuple(_changes(item, record)) if record else ()
    verb, reason = _verb(item, record, changes, recorded)
    needs = tuple(ref for ref in desire.graph.upstream(item.ref) if not desire.items[ref].shipped)
    asked = kind.resources(item.resource) if kind.resources else None
    attaches = verb in RUNS and (item.ref, item.fingerprint) in recorded.under_way
    return Action(item.ref, verb, item.fingerprint, changes, needs, asked, reason, attaches)


def _verb(item: Desired, record: Record | None, changes: tuple[Change, ...], recorded: Recorded) -> tuple[Verb, str]:
    is_job = item.resource.is_job
    at_hand = is_job and item.fingerprint in recorded.artifacts.get(item.resource.kind, frozenset())
    if record is None:
        if at_hand:
            return Verb.REUSE, "the same work was done before"
        return Verb.CREATE, "not recorded yet"
    if item.ref in recorded.gone:
        return Verb.REPLACE, "its artifact is gone from disk"
    if item.fingerprint != record.fingerprint:
        if at_hand:
            return Verb.REUSE, "the same work was done before"
        return (Verb.REPLACE if is_job else Verb.UPDATE), _because(changes)
    if record.status is RecordStatus.FAILED:
        return (Verb.REUSE, "the same work was done elsewhere") if at_hand else (Verb.RETRY, "the last run failed")
    return (Verb.UPDATE, _because(changes)) if changes else (Verb.NONE, "")


def _because(changes: tuple[Change, ...]) -> str:
    """The first causes in words."""
    forcing = leading(changes)
    words = [
        f"{c.path} changed" if _is_hash(c) else f"{c.path} {_show(c.old)} → {_show(c.new)}" for c in forcing[:NAMED]
    ]
    more = f" and {len(forcing) - NAMED} more" if len(forcing) > NAMED else ""
    return ", ".join(words) + more


def _is_hash(change: Change) -> bool:
    return change.path in ("content", REGISTRY) or "/" in change.path.split(".")[0]


def _show(value: Any) -> str:
    text = "(unset)" if value is None else value if isinstance(value, str) else repr(value)
    flat = text.replace("\n", "\\n")
    return flat if len(flat) <= 40 else f"{flat[:37]}..."


def _changes(item: Desired, record: Record) -> list[Change]:
    return [
        *compare_parts(record.spec, item.spec, type(item.resource.spec), "spec"),
        *compare_parts(record.metadata, item.metadata, Metadata, "metadata"),
        *compare_inputs(record.inputs, item.inputs),
    ]
