"""What a sweep does beside its trials: it chooses anew whenever what it chose among is not what it was. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from studio.core.references import Ref
from studio.graph import Graph, trials_of
from studio.plan.actions import Action, Verb
from studio.state.base import Record


def with_sweeps(actions: Sequence[Action], graph: Graph, records: Mapping[Ref, Record]) -> list[Action]:
    """The actions with sweeps and their trials told apart."""
    trials = {action.ref: found for action in actions if (found := trials_of(graph, action.ref))}
    if not trials:
        return list(actions)
    sweeps = {trial: sweep for sweep, found in trials.items() for trial in found}
    decided = {action.ref: action for action in actions}
    marked = (replace(each, sweep=sweeps.get(each.ref), trials=trials.get(each.ref, ())) for each in actions)
    chosen = [_choosing(each, decided, records) for each in marked]
    return _judged_again(chosen, {each.ref for each in chosen if each.verb is not decided[each.ref].verb})


def _judged_again(actions: list[Action], sweeps: set[Ref]) -> list[Action]:
    """Whatever was made of a sweep's adapter is made again where the sweep chooses anew: another trial may win under
    the same fingerprint, and no gate has judged its adapter."""
    found = {action.ref: action for action in actions}
    causes = {ref: ref for ref in sorted(sweeps)}
    grown = True
    while grown:
        grown = False
        for ref, action in found.items():
            cause = next((causes[need] for need in action.needs if need in causes), None)
            if cause and ref not in causes:
                causes[ref], grown = cause, True
    return [_again(each, causes[each.ref]) if causes.get(each.ref, each.ref) != each.ref else each for each in actions]


def _again(action: Action, sweep: Ref) -> Action:
    if action.resources is None or action.verb not in (Verb.NONE, Verb.UPDATE, Verb.REUSE):
        return action
    return replace(action, verb=Verb.REPLACE, reason=f"{sweep} chooses anew", fresh=True, revises=False)


def _choosing(action: Action, decided: Mapping[Ref, Action], records: Mapping[Ref, Record]) -> Action:
    """A sweep of which nothing changed, and of which a trial was or will be trained again."""
    if action.verb is not Verb.NONE:
        return action
    again = next((ref for ref in action.trials if decided[ref].dispatches), None)
    if again:
        return replace(action, verb=Verb.UPDATE, reason=f"{again} runs again")
    known = _digests(records[action.ref])
    made = ((ref, records.get(ref)) for ref in action.trials)
    other = next((ref for ref, each in made if each and _digest(each) != known.get(each.fingerprint, "")), None)
    return replace(action, verb=Verb.UPDATE, reason=f"{other} was trained again") if other else action


def _digests(sweep: Record) -> dict[str, str]:
    """Of the adapters that a sweep has seen, by the fingerprint of the trial."""
    seen = ((sweep.outcome.get("output") or {}).get("sweep") or {}).get("trials", ())
    return {each["fingerprint"]: each["digest"] for each in seen}


def _digest(trial: Record) -> str:
    return str((trial.outcome.get("output") or {}).get("digest", ""))
