"""Exports that a plan will not perform: a gate that they require is missed already, and nothing measures it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from studio.apply.recording import held_back, judged
from studio.core.references import Ref
from studio.desired import Desire
from studio.plan.actions import Action, Plan, Verb
from studio.resources.model_export import ModelExport
from studio.state.base import Record


def with_held(plan: Plan, desire: Desire, records: Mapping[Ref, Record]) -> Plan:
    """The plan with what holds each export back, as far as recorded metrics can tell."""
    decided = {action.ref: action for action in plan.actions}
    actions = tuple(_held(action, decided, desire, records) for action in plan.actions)
    return replace(plan, actions=actions) if actions != plan.actions else plan


def _held(action: Action, decided: Mapping[Ref, Action], desire: Desire, records: Mapping[Ref, Record]) -> Action:
    item = desire.items.get(action.ref)
    if item is None or not isinstance(item.resource, ModelExport) or not (action.dispatches or _reuses(action)):
        return action
    known = {}
    for name in item.resource.spec.requires:
        ref = Ref("EvaluationJob", name)
        verb = decided[ref].verb if ref in decided else Verb.NONE
        if ref in records and verb in (Verb.NONE, Verb.UPDATE):
            past = records[ref]
            known[ref] = replace(past, outcome=judged(desire.items[ref], past.outcome))
    held = held_back(item.resource, known)
    return replace(action, held=held) if held else action


def _reuses(action: Action) -> bool:
    return action.verb is Verb.REUSE
