"""What a sweep does beside its trials, and what that means for all that depends on it. Pure.

A sweep chooses anew whenever what it chose among is not what it was. What depends on it is judged by the trial that it
got: where all trials are made, that one is known beforehand; where one has yet to run, nobody can know it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from studio.core.references import Ref
from studio.desired import Desire, Desired
from studio.graph import producer, trials_of
from studio.plan.actions import Action, Verb
from studio.plan.diff import SHORT, Change
from studio.state.base import Record

CAME, WENT = "is a new trial", "is a trial no more"
CHOSEN = "another trial is its best one"
OPEN = "chooses anew, and another trial may win"


def with_sweeps(actions: Sequence[Action], desire: Desire, records: Mapping[Ref, Record]) -> list[Action]:
    """The actions with sweeps and their trials told apart."""
    trials = {action.ref: found for action in actions if (found := trials_of(desire.graph, action.ref))}
    if not trials:
        return list(actions)
    sweeps = {trial: sweep for sweep, found in trials.items() for trial in found}
    decided = {action.ref: action for action in actions}
    marked = (_marked(each, sweeps.get(each.ref), trials.get(each.ref, ())) for each in actions)
    chosen = [_choosing(each, decided, records) for each in marked]
    open = (sweep for sweep, found in trials.items() if any(decided[trial].dispatches for trial in found))
    return _judged_again(chosen, desire, {*open, *(trials.keys() - desire.chosen.keys())})


def _marked(action: Action, sweep: Ref | None, trials: tuple[Ref, ...]) -> Action:
    """Only trials can begin from nothing: a choice is made of what there is."""
    return replace(action, sweep=sweep, trials=trials, fresh=action.fresh and not trials)


def retold(changes: Iterable[Change], item: Desired, desire: Desire, records: Mapping[Ref, Record]) -> list[Change]:
    """Changes of inputs in words that say what came of a sweep: which trials it has, and which it chose."""
    found = list(changes)
    trials = {str(ref) for ref in trials_of(desire.graph, item.ref)}
    if trials:
        moved = [each for each in found if each.path in trials and each.old and each.new]
        found = [each for each in found if each not in moved] or moved  # what changed all of them is told once
        return [_coming(each, item.ref.kind) for each in found]
    return [_choice(each, desire, records) for each in found]


def words(change: Change) -> str:
    """A change that is told of a sweep, for a reason; "" for any other."""
    if change.reason in (CAME, WENT, OPEN):
        return f"{change.path} {change.reason}"
    return f"{change.path} chose {change.new}, not {change.old}" if change.reason == CHOSEN else ""


def _coming(change: Change, kind: str) -> Change:
    """Of the inputs of a sweep only its trials are of its own kind."""
    if not change.path.startswith(f"{kind}/") or (change.old and change.new):
        return change
    return replace(change, reason=WENT if change.new is None else CAME, old=None, new=None)


def _choice(change: Change, desire: Desire, records: Mapping[Ref, Record]) -> Change:
    """What is told of an input that is a sweep, or its adapter."""
    sweep = _sweep(change.path, desire)
    if sweep is None or not change.old or not change.new:
        return change
    trial = desire.chosen.get(sweep)
    if trial is None:
        return replace(change, reason=OPEN, old=None, new=None)
    return replace(change, reason=CHOSEN, old=_named(change.old, sweep, records), new=trial.name)


def _sweep(path: str, desire: Desire) -> Ref | None:
    kind, _, name = path.partition("/")
    ref = Ref(kind, name)
    made_by = producer(desire.graph, ref) if ref in desire.graph.resources else None
    return made_by if made_by and trials_of(desire.graph, made_by) else None


def _named(fingerprint: str, sweep: Ref, records: Mapping[Ref, Record]) -> str:
    """The name of a trial, as far as anybody knows it still."""
    known = {record.fingerprint[:SHORT]: ref.name for ref, record in records.items() if ref.kind == sweep.kind}
    past = {each["fingerprint"][:SHORT]: each["name"] for each in _table(records.get(sweep))}
    return str((known | past).get(fingerprint, fingerprint))


def _judged_again(actions: list[Action], desire: Desire, open: set[Ref]) -> list[Action]:
    """Whatever was made of a sweep's adapter may have to be made again where nobody knows yet what it will choose."""
    causes = {ref: sweep for sweep in sorted(open, reverse=True) for ref in desire.graph.downstream(sweep) - open}
    return [_again(each, causes[each.ref]) if each.ref in causes else each for each in actions]


def _again(action: Action, sweep: Ref) -> Action:
    """What turns out as it was, as the same trial wins, is taken over when the sweep has chosen; till then it counts
    among what is made again."""
    if action.verb not in (Verb.NONE, Verb.UPDATE, Verb.REUSE):
        return action
    if action.resources is None:
        return replace(action, verb=Verb.UPDATE, reason=action.reason or f"{sweep} {OPEN}")
    return replace(action, verb=Verb.REPLACE, reason=f"{sweep} {OPEN}", revises=False)


def _choosing(action: Action, decided: Mapping[Ref, Action], records: Mapping[Ref, Record]) -> Action:
    """A sweep of which nothing changed, and of which a trial was or will be trained again."""
    if action.verb is not Verb.NONE:
        return action
    again = next((ref for ref in action.trials if decided[ref].dispatches), None)
    if again:
        return replace(action, verb=Verb.UPDATE, reason=f"{again} runs again")
    known = {each["fingerprint"]: each["digest"] for each in _table(records[action.ref])}
    made = ((ref, records.get(ref)) for ref in action.trials)
    other = next((ref for ref, each in made if each and _digest(each) != known.get(each.fingerprint, "")), None)
    return replace(action, verb=Verb.UPDATE, reason=f"{other} was trained again") if other else action


def _table(sweep: Record | None) -> Sequence[Mapping[str, Any]]:
    """What a sweep remembers of the trials that it has seen."""
    output = (sweep.outcome.get("output") or {}) if sweep else {}
    found: Sequence[Mapping[str, Any]] = (output.get("sweep") or {}).get("trials", ())
    return found


def _digest(trial: Record) -> str:
    return str((trial.outcome.get("output") or {}).get("digest", ""))
