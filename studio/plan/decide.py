"""Desired against recorded: what happens to every resource, and why. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from studio.core.fingerprints import digest
from studio.core.references import Ref
from studio.desired import CONTENT, REGISTRY, WORKSPACE, Desire, Desired
from studio.graph import trials_of
from studio.load.settings import Project
from studio.plan.actions import NAMED, NEW, RUNS, Action, Kept, LeftOut, Move, Plan, Refreshed, Verb, leading
from studio.plan.diff import SAME, Change, compare_inputs, compare_parts
from studio.plan.drift import Drift, drift_change, is_drift
from studio.plan.drift_facts import Remedy
from studio.plan.moves import after, find_moves
from studio.plan.pruning import DESTROYED, dependants_first, divide, recorded_needs
from studio.plan.selection import WHOLE, Edges, Known, Scope, Selection, Unmanaged, resolve, turned
from studio.plan.spend import Spend
from studio.plan.sweeps import retold, with_sweeps
from studio.plan.sweeps import words as of_sweep
from studio.plan.wording import difference
from studio.resources import KINDS
from studio.resources.base import Effect, Metadata, stored
from studio.resources.fine_tuning_job import FineTuningJob
from studio.resources.scope import Made
from studio.state.base import Lineage, Record, RecordStatus

_ELSEWHERE = frozenset({"manifests", "environments", "state", "variables"})
"""Settings that decide nothing about a plan's jobs by themselves."""
WIDTH = 40
"""Letters of a value in a reason."""
ONCE = "metadata.renamed_from"
"""An instruction, and no property of the resource: it may stay, or go, once it was followed."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What planning knows of the past. ``artifacts``: kind to fingerprints; ``gone``: why their
    files are not to be had."""

    lineage: Lineage
    records: Mapping[Ref, Record] = field(default_factory=dict)
    artifacts: Mapping[str, frozenset[str]] = field(default_factory=dict)
    gone: Mapping[Ref, str] = field(default_factory=dict)
    under_way: frozenset[tuple[Ref, str]] = frozenset()
    """Resource and fingerprint of the jobs that an earlier apply left running."""
    protected: frozenset[Ref] = frozenset()
    """Protected by a manifest that is not part of the plan; what a record protects is in the record."""
    drift: Mapping[Ref, tuple[Drift, ...]] = field(default_factory=dict)
    """What is not there as it was recorded, where somebody looked."""
    refreshed: Refreshed = Refreshed.NOT
    nameable: frozenset[Ref] = frozenset()
    """Resources that a selection may name although there is nothing to do about them."""


def make_plan(
    desire: Desire, recorded: Recorded, environment: str, settings: Project, selection: Selection = WHOLE
) -> Plan:
    """Compare what should be with what is recorded. ``settings`` are those in force in the environment.

    Raises SelectionError for a selection that names nothing, or something that it cannot be about, and StudioError for
    a manifest that claims another's record.
    """
    items = [item for item in desire.items.values() if not item.shipped]
    moves, warnings = find_moves({item.ref: item.resource.metadata for item in items}, recorded.records)
    recorded = _moved(recorded, moves)
    known = _known(desire, items, recorded, selection)
    scope = resolve(selection, known)
    changes = {item.ref: _changes(item, desire, recorded) for item in items}
    actions = [
        _action(item, tuple(known.managed[item.ref]), recorded, changes[item.ref], item.ref in scope.again)
        for item in items
    ]
    actions = with_sweeps(actions, desire, recorded.records)
    names = {move.new: move.old for move in moves}
    actions = [_renamed(each, names[each.ref]) if each.ref in names else each for each in actions]
    left_out = tuple(LeftOut(each.ref, each.verb) for each in actions if each.ref not in scope.acting)
    acting = tuple(each for each in actions if each.ref in scope.acting)
    removals, kept = _removals(known, scope, recorded, selection)
    return Plan(
        environment, recorded.lineage.id, recorded.lineage.serial, _manifest_digest(items, settings),
        (*acting, *removals), kept, left_out=left_out, selection=selection, recorded=len(recorded.records),
        refreshed=recorded.refreshed,
        warnings=warnings,
    )  # fmt: skip


def _moved(recorded: Recorded, moves: tuple[Move, ...]) -> Recorded:
    """The past as it will be told once records have moved."""
    if not moves:
        return recorded
    names = dict(moves)
    under_way = frozenset((names.get(ref, ref), fingerprint) for ref, fingerprint in recorded.under_way)
    drift = {names.get(ref, ref): found for ref, found in recorded.drift.items()}
    return replace(recorded, records=after(recorded.records, moves), under_way=under_way, drift=drift)


def _renamed(action: Action, old: Ref) -> Action:
    verb, reason = (Verb.UPDATE, f"it was {old}") if action.verb is Verb.NONE else (action.verb, action.reason)
    return replace(action, verb=verb, reason=reason, moved_from=old)


def _known(desire: Desire, items: list[Desired], recorded: Recorded, selection: Selection) -> Known:
    """What the patterns of a selection may name."""
    managed = {
        item.ref: [ref for ref in desire.graph.upstream(item.ref) if not desire.items[ref].shipped] for item in items
    }
    removing = selection.unmanaged is not Unmanaged.KEEP
    past: Edges = recorded_needs(recorded.records) if removing else dict.fromkeys(recorded.records, ())
    jobs = (item.resource for item in items)
    made = {Ref("Adapter", job.spec.adapter_name): job.ref for job in jobs if isinstance(job, FineTuningJob)}
    aliases = {ref: job for ref, job in made.items() if ref not in managed and ref not in past}
    sweeps = {item.ref: trials for item in items if (trials := trials_of(desire.graph, item.ref))}
    return Known(managed, past, recorded.nameable, aliases, sweeps)


def _removals(
    known: Known, scope: Scope, recorded: Recorded, selection: Selection
) -> tuple[tuple[Action, ...], tuple[Kept, ...]]:
    """What is deleted or forgotten, dependants first, and what of it stays all the same."""
    unmanaged = known.recorded.keys() - known.managed.keys()
    if selection.unmanaged is Unmanaged.KEEP:
        return (), tuple(Kept(ref, "no manifest") for ref in sorted(unmanaged))
    left = unmanaged - scope.removable
    stays = left | (known.managed.keys() - scope.acting)
    protected = {ref for ref in scope.removable if ref in recorded.protected or _is_protected(recorded.records[ref])}
    going, kept = divide(scope.removable, protected, sorted(stays), known.recorded)
    users = turned({ref: known.recorded[ref] for ref in sorted({*going, *(known.recorded.keys() & scope.acting)})})
    verb = Verb.FORGET if selection.unmanaged is Unmanaged.FORGET else Verb.DELETE
    reason = DESTROYED if selection.destroy else "it has no manifest any more"
    actions = tuple(
        Action(ref, verb, recorded.records[ref].fingerprint, needs=tuple(users.get(ref, ())), reason=reason)
        for ref in dependants_first(going, known.recorded)
    )
    return actions, tuple(sorted((*kept, *(Kept(ref, "left out") for ref in left)), key=lambda each: each.ref))


def _is_protected(record: Record) -> bool:
    return bool(record.metadata.get("protect"))


def with_memory(plan: Plan, needed: Callable[[Ref], int | None]) -> Plan:
    """The plan with an estimate for each job that will run."""
    actions = (replace(each, memory=needed(each.ref)) if each.dispatches else each for each in plan.actions)
    return replace(plan, actions=tuple(actions))


def with_spend(plan: Plan, of: Callable[[Action], Spend | None]) -> Plan:
    """The plan with what each job will take, and what each reuse spares."""
    actions = (
        replace(each, spend=of(each)) if each.dispatches or each.verb is Verb.REUSE else each for each in plan.actions
    )
    return replace(plan, actions=tuple(actions))


def _manifest_digest(items: list[Desired], settings: Project) -> str:
    """Of what was reviewed: the manifests, their inputs, and where and as what their jobs run.

    Not of where manifests lie, nor of what other environments do. Another state has another lineage.
    """
    resources = {str(i.ref): [i.declared, i.spec, i.metadata] for i in items}
    spec = {name: value for name, value in stored(settings.spec).items() if name not in _ELSEWHERE}
    return digest({"resources": resources, "project": settings.metadata.name, "settings": spec})


def _action(
    item: Desired, needs: tuple[Ref, ...], recorded: Recorded, changed: Sequence[Change], fresh: bool
) -> Action:
    kind = KINDS[item.resource.kind]
    record = recorded.records.get(item.ref)
    drifted = recorded.drift.get(item.ref, ()) if record and record.fingerprint == item.fingerprint else ()
    changes = (*changed, *map(drift_change, drifted))
    verb, reason = _verb(item, record, changes, recorded)
    if verb in (Verb.NONE, Verb.UPDATE) and any(each.remedy is Remedy.REPLACE for each in drifted):
        verb, reason, fresh = Verb.REPLACE, _because(changes), True
    elif fresh:
        verb, reason = (Verb.REPLACE if record else Verb.CREATE), _once_more(verb, reason)
    asked = kind.resources(item.resource) if kind.resources else None
    under_way = (item.ref, item.fingerprint) in recorded.under_way
    only_waits = under_way and verb in (Verb.NONE, Verb.UPDATE, Verb.REUSE)
    if only_waits:  # somebody wanted it made anew: what was made before is no answer to that
        verb, fresh = (Verb.REPLACE if record else Verb.CREATE), True
        reason = "it was started again, and its job is under way"
    attaches = verb in RUNS and under_way
    revises = verb is Verb.UPDATE and record is not None and _is_revised(item, record, drifted)
    return Action(
        item.ref, verb, item.fingerprint, changes, needs, asked, reason, attaches, only_waits, None, fresh, revises
    )


def _is_revised(item: Desired, record: Record, drifted: tuple[Drift, ...]) -> bool:
    """Whether something is to be said of a thing where it is, and not only in its record."""
    revise = KINDS[item.resource.kind].revise
    if revise is None:
        return False
    made = Made(record.outcome.get("output") or {}, str(record.outcome.get("run_key", "")), record.fingerprint)
    return revise(item.resource, made, any(each.revised for each in drifted)) is not None


def _verb(item: Desired, record: Record | None, changes: tuple[Change, ...], recorded: Recorded) -> tuple[Verb, str]:
    is_job = item.resource.is_job
    asked = is_job and not getattr(item.resource, "is_sweep", False)  # a choice is made anew, it costs nothing
    at_hand = asked and item.fingerprint in recorded.artifacts.get(item.resource.kind, frozenset())
    if record is None:
        if at_hand:
            return Verb.REUSE, "the same work was done before"
        lost = recorded.gone.get(item.ref)
        return Verb.CREATE, f"the same work was done before, but {lost}" if lost else NEW
    if item.ref in recorded.gone:
        return Verb.REPLACE, recorded.gone[item.ref]
    if item.fingerprint != record.fingerprint:
        if at_hand:
            return Verb.REUSE, "the same work was done before"
        return (Verb.REPLACE if is_job else Verb.UPDATE), _because(changes)
    if record.status is RecordStatus.FAILED:
        return (Verb.REUSE, "the same work was done elsewhere") if at_hand else (Verb.RETRY, "the last run failed")
    return (Verb.UPDATE, _because(changes)) if changes else (Verb.NONE, "")


def _once_more(verb: Verb, reason: str) -> str:
    """Why a job runs that --replace names; what would have made it run anyway is told too."""
    return f"{reason}, and --replace asks for it" if verb in RUNS else "--replace asks for it"


def _because(changes: tuple[Change, ...]) -> str:
    """The first causes in words."""
    forcing = leading(changes)
    words = [of_sweep(change) or _cause(change) for change in forcing[:NAMED]]
    more = f" and {len(forcing) - NAMED} more" if len(forcing) > NAMED else ""
    return ", ".join(words) + more


def _cause(change: Change) -> str:
    if is_drift(change):
        return change.reason
    if not _is_hash(change):
        return f"{change.path} {difference(change, WIDTH)}"
    return f"{change.path} {'changed' if bool(change.old) is bool(change.new) else change.reason}"


def _is_hash(change: Change) -> bool:
    return change.path in (CONTENT, REGISTRY, WORKSPACE) or "/" in change.path.split(".")[0]


def _changes(item: Desired, desire: Desire, recorded: Recorded) -> list[Change]:
    record = recorded.records.get(item.ref)
    if record is None:
        return []
    if (item.fingerprint, item.spec, item.metadata, item.inputs) == (
        record.fingerprint, record.spec, record.metadata, record.inputs,
    ):  # fmt: skip
        return []  # equal values whose types could differ, such as 1 and true, are in the fingerprint
    found = (
        *compare_parts(record.spec, item.spec, type(item.resource.spec), "spec"),
        *compare_parts(record.metadata, item.metadata, Metadata, "metadata"),
        *compare_inputs(record.inputs, item.inputs),
    )
    same = item.fingerprint == record.fingerprint
    told = retold((each for each in found if each.path != ONCE), item, desire, recorded.records)
    return [_harmless(each) if same else each for each in told]


def _harmless(change: Change) -> Change:
    """A change beside which the fingerprint is what it was determines nothing, whatever its field may."""
    return replace(change, effect=Effect.DESCRIPTIVE, reason=SAME) if change.effect is Effect.OUTCOME else change
