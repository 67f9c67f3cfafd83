"""Recorded resources without a manifest: which of them go, which stay and why, and in which order. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping

from pydantic import ValidationError

from studio.core.references import Ref
from studio.graph import build
from studio.plan.actions import Kept
from studio.plan.selection import Edges, turned
from studio.resources import KINDS
from studio.resources.base import Resource
from studio.state.base import Record

PROTECTED = "protected"
DESTROYED = "it is to be destroyed"


def recorded_needs(records: Mapping[Ref, Record]) -> dict[Ref, tuple[Ref, ...]]:
    """What each recorded resource needed when it was recorded, as far as that is recorded too."""
    parsed = {ref: resource for ref, record in records.items() if (resource := _resource(ref, record))}
    graph = build(parsed, {})
    return {
        ref: tuple(sorted({*graph.upstream(ref), *_inputs(record)} & records.keys() - {ref}))
        for ref, record in records.items()
    }


def _resource(ref: Ref, record: Record) -> Resource | None:
    """The resource as it was recorded; None when an older studio recorded it in another form."""
    if ref.kind not in KINDS:
        return None
    document = {"kind": ref.kind, "metadata": {**record.metadata, "name": ref.name}, "spec": record.spec}
    try:
        return KINDS[ref.kind].model.model_validate(document)
    except ValidationError:
        return None


def _inputs(record: Record) -> set[Ref]:
    return {Ref.parse(label) for label in record.inputs if "/" in label.strip("/")}


def divide(
    removable: Collection[Ref], protected: Collection[Ref], staying: Iterable[Ref], needs: Edges
) -> tuple[set[Ref], tuple[Kept, ...]]:
    """Those of ``removable`` that go, and those that stay although they could: protected, or needed by what stays.

    ``staying`` are records that the plan leaves as they are for another reason.
    """
    kept = {ref: PROTECTED for ref in removable if ref in protected}
    pending = [*kept, *staying]
    while pending:
        ref = pending.pop()
        for need in needs.get(ref, ()):
            if need in removable and need not in kept:
                kept[need] = f"needed by {ref}"
                pending.append(need)
    return set(removable) - kept.keys(), tuple(Kept(ref, kept[ref]) for ref in sorted(kept))


def dependants_first(refs: Collection[Ref], needs: Edges) -> list[Ref]:
    """``refs`` so that each comes before what it needs; ties by kind and name."""
    chosen = set(refs)
    inside = {ref: [need for need in needs.get(ref, ()) if need in chosen] for ref in chosen}
    waiting = {ref: len(users) for ref, users in turned(inside).items()}
    free = [ref for ref in chosen if not waiting.get(ref)]
    heapq.heapify(free)
    ordered: list[Ref] = []
    while free:
        ref = heapq.heappop(free)
        ordered.append(ref)
        for need in inside[ref]:
            waiting[need] -= 1
            if not waiting[need]:
                heapq.heappush(free, need)
    return ordered + sorted(chosen - set(ordered))  # what was recorded at different times may even run in a circle
