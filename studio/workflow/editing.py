"""Edits of state by hand: under the lease, in one transaction, with the operation that tells who did what."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from studio.core.errors import UsageError
from studio.core.references import Ref
from studio.core.suggest import did_you_mean
from studio.load import commit
from studio.load.project import Loaded
from studio.plan.pruning import recorded_needs
from studio.plan.selection import closure
from studio.resources import KINDS
from studio.resources.base import SLUG
from studio.state.base import ACTIVE, Lease, Operation, Record, StateReader, StateStore
from studio.state.moves import TO, moved
from studio.workflow import places

Summary = dict[str, Any]
"""Resource to what was done with it, in words."""


def edit(loaded: Loaded, command: str, change: Callable[[StateStore], Summary]) -> Summary:
    """Make one change and note the operation, both or neither; a change of nothing leaves no trace."""
    with places.locked_state(loaded, f"studio {command}") as state:
        begun = places.now()
        with suppress(_NothingToDo), state.together():
            summary = change(state)
            if not summary:
                raise _NothingToDo
            state.save_operation(operation(loaded, command, summary, begun))
            return summary
        return {}


class _NothingToDo(Exception):
    """Takes the transaction back, so that the count of changes stays as it is."""


def operation(loaded: Loaded, command: str, summary: Summary, begun: str) -> Operation:
    """The audit row of an edit that is done."""
    return Operation(
        places.new_id(), loaded.environment, command, commit.actor(os.environ),
        commit.commit(loaded.root, os.environ), begun, places.now(), "succeeded", summary,
    )  # fmt: skip


def unlock(loaded: Loaded, seen: Lease) -> bool:
    """Take the lock from the holder that somebody looked at; False when it passed on in the meantime."""
    from studio.state.lease import break_lease
    from studio.state.sql import open_engine

    engine = open_engine(places.state_url(loaded), loaded.root)
    try:
        note = operation(loaded, "state unlock", {"lock": f"taken from {seen.holder}"}, places.now())
        return break_lease(engine, seen, note)
    finally:
        engine.dispose()


def move(state: StateStore, old: Ref, new: Ref) -> Summary:
    """Let a record go by another name; its runs go with it. Raises UsageError when that cannot be."""
    _demand_movable(state, state.records(), old, new)
    changed = rename(state, old, new)
    named = {str(record.ref): f"names {new} now" for record in changed[1:]}
    return {str(old): f"{TO}{new}", **named}


def rename(state: StateStore, old: Ref, new: Ref) -> list[Record]:
    """Move a record and its runs; the records that changed, the moved one first."""
    changed = moved(state.records(), old, new)
    state.delete_record(old)
    for record in changed:
        state.save_record(record)
    for run in state.runs(old):
        state.save_run(replace(run, ref=new))
    return changed


def forget(state: StateStore, refs: Sequence[Ref], *, force: bool) -> Summary:
    """Drop records and leave the things; raises UsageError for those that nobody should forget by accident."""
    records = state.records()
    for ref in refs:
        demand_recorded(ref, records)
    protected = {ref for ref, record in records.items() if record.metadata.get("protect")}
    guarded = [ref for ref in refs if ref in protected]
    if guarded and not force:
        raise UsageError(f"protected: {', '.join(map(str, guarded))}", "remove 'protect' and apply, or say --force")
    needed = [ref for ref in refs if ref in closure(protected, recorded_needs(records))] if protected else []
    if needed and not force:
        words = f"needed by what is protected: {', '.join(map(str, needed))}"
        raise UsageError(words, "remove 'protect' there and apply, or say --force")
    for ref in refs:
        if not force:
            _demand_idle(state, ref)
        state.delete_record(ref)
    return {str(ref): "forgotten" for ref in refs}


def demand_recorded(ref: Ref, records: Iterable[Ref]) -> None:
    """Raise UsageError unless something is recorded under that name."""
    known = [*records]
    if ref.kind not in KINDS:
        raise UsageError(f"there is no kind {ref.kind!r}", did_you_mean(ref.kind, KINDS))
    if ref not in known:
        raise UsageError(f"nothing recorded is called {str(ref)!r}", did_you_mean(str(ref), map(str, known)))


def _demand_movable(state: StateReader, records: Iterable[Ref], old: Ref, new: Ref) -> None:
    demand_recorded(old, records)
    if new.kind != old.kind:
        raise UsageError(f"{old} cannot become a {new.kind}", f"write {old.kind}/{new.name}")
    if not SLUG.match(new.name):
        hint = "use lower-case letters, digits, '-' and '.', at most 253, and begin and end with a letter or digit"
        raise UsageError(f"{new.name!r} is no name for a resource", hint)
    if new == old:
        raise UsageError(f"{old} has that name already", "say what it should be called")
    if new in records:
        raise UsageError(f"{new} is recorded already", f"move it away, or forget it with 'studio state rm {new}'")
    _demand_idle(state, old)


def _demand_idle(state: StateReader, ref: Ref) -> None:
    active = next((run for run in state.runs(ref) if run.status in ACTIVE), None)
    if active:
        raise UsageError(f"the job of {ref} is not over: {active.key}", "wait for it, or cancel it first")
