"""Apply: the lease is taken, the plan is made again under it, and the loop makes it so."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from studio.apply.loop import Loop
from studio.apply.manner import USUAL, Manner
from studio.apply.orphans import Settled, left_behind, settle
from studio.apply.outcome import FINE, Outcome, Watcher
from studio.apply.recording import Recorder
from studio.apply.removing import Remover, demand_idle
from studio.apply.revising import Reviser
from studio.apply.selecting import Selector
from studio.apply.tools import Tools
from studio.compile import Target
from studio.core.errors import StudioError
from studio.core.references import Ref
from studio.load import commit
from studio.load.artifacts import is_present
from studio.plan import saved as saved_plan
from studio.plan.actions import Plan, Verb, to_json
from studio.plan.spend import Account
from studio.report.remarks import limit_words
from studio.state.base import Operation, StateStore
from studio.state.moves import FROM
from studio.workflow import editing, places, spending
from studio.workflow.elsewhere import commits
from studio.workflow.needing import demand_equipped
from studio.workflow.planning import Planned, plan_against


@dataclass(frozen=True, slots=True)
class Applied:
    """What an apply did."""

    plan: Plan
    outcomes: dict[Ref, Outcome]
    running: tuple[Ref, ...] = ()
    """Jobs that were left running."""
    waiting: tuple[Ref, ...] = ()
    """What a detached apply left for the next one."""
    settled: tuple[Settled, ...] = ()
    """What became of the jobs of earlier versions."""
    account: Account = field(default_factory=Account)

    @property
    def failed(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes.values() if outcome.ending not in FINE]


def demand_safe(plan: Plan, *, force: bool = False) -> None:
    """Raise StudioError when a plan takes away or replaces more than anybody does by intent, unless it is forced."""
    if plan.safety.exceeded and not force:
        hint = "read the plan again; say --force to go ahead, or choose with --target"
        raise StudioError(f"{limit_words(plan)}; nothing was applied", hint)


def apply(
    planned: Planned, watcher: Watcher, parallelism: int, *, agreed: bool = False, manner: Manner = USUAL
) -> Applied:
    """Make it so. The lease is taken first and the plan is made again under it, so that nothing stale is applied.

    ``agreed``: somebody said yes to this very plan; raises StalePlanError when it is not the same any more.
    Raises StudioError where the plan is beyond the safety limit and not forced, and where this machine lacks what a
    job needs.
    """
    loaded = planned.checked.loaded
    command = "destroy" if planned.plan.selection.destroy else manner.command
    with places.locked_state(loaded, f"studio {command}") as state:
        current = plan_against(planned.checked, state, planned.plan.selection, planned.looks)
        if agreed:
            saved_plan.demand_same(saved_plan.content(planned.plan), current.plan)
        demand_safe(current.plan, force=manner.force)
        demand_equipped(current.plan)
        tools = _tools(current, state, watcher, parallelism, manner)
        if current.plan.selection.destroy:
            demand_idle({action.ref for action in current.plan.pending}, state, tools.backend)
        loop = Loop(tools, current.plan)
        settled = settle(
            left_behind(state.active(), current.desire, current.plan, tools.backend.name),
            state,
            tools.backend,
            tools.now,
        )
        begun = Operation(
            places.new_id(), loaded.environment, command, commit.actor(os.environ), tools.target.commit, places.now(),
            summary={str(move.new): f"{FROM}{move.old}" for move in current.plan.moves},
            plan=to_json(current.plan)["digest"],
        )  # fmt: skip
        with _recorded(begun, loop):
            loop.run()
        settled = _again(settled, tools)
        account = spending.settled(loop.outcomes.values(), state)
        left = tuple(ref for ref, action in loop.waiting.items() if action.verb is not Verb.NONE)
        return Applied(current.plan, loop.outcomes, tuple(loop.flights), left, settled, account)


def _tools(current: Planned, state: StateStore, watcher: Watcher, parallelism: int, manner: Manner) -> Tools:
    """What the loop works with, for a plan that was made under the lease."""
    loaded = current.checked.loaded
    reach, backend = places.reach(loaded, os.environ), places.backend(loaded, os.environ)
    target = Target(
        loaded.root, loaded.settings, loaded.environment, commit.commit(loaded.root, os.environ),
        reach.server or "", places.workspace(loaded, os.environ),
    )  # fmt: skip
    sources = {ref: manifest.source.file for ref, manifest in loaded.manifests.items()}
    known = commits(current.checked.online, current.checked.graph.resources.values())
    past = dict(current.recorded.records)
    recorder = Recorder(state, sources, target.commit, places.now, places.new_id, past, known)
    remover = Remover(target, state, backend, recorder, places.now, places.registry(loaded, os.environ))
    return Tools(
        current.desire, target, state, backend, recorder, remover, Reviser(target, state, recorder),
        Selector(current.desire, state, places.now), watcher, places.now, places.clock, places.pause,
        present=lambda artifact: is_present(artifact.output, reach),
        parallelism=parallelism, manner=manner,
    )  # fmt: skip


def _again(settled: tuple[Settled, ...], tools: Tools) -> tuple[Settled, ...]:
    """What was open at the beginning may have ended by now: a training takes hours."""
    still = [each.run for each in settled if each.open]
    return tuple(e for e in settled if not e.open) + settle(still, tools.state, tools.backend, tools.now)


@contextmanager
def _recorded(begun: Operation, loop: Loop) -> Iterator[None]:
    """Note the operation, also when it is interrupted; a plan with nothing to do leaves no trace."""
    if not loop.plan.pending:
        yield
        return
    outcome = "interrupted"
    with loop.tools.state.together():
        _close_left_open(loop.tools.state)
        loop.tools.state.save_operation(begun)
        for move in loop.plan.moves:
            editing.rename(loop.tools.state, move.old, move.new)
    try:
        yield
        outcome = _in_a_word(loop)
    finally:
        changed = {action.ref for action in loop.plan.pending}
        summary = {str(ref): o.ending.value for ref, o in loop.outcomes.items() if ref in changed}
        summary |= {str(ref): "running" for ref in loop.flights}
        for move in loop.plan.moves:  # the old name comes last: its history goes on here
            summary[str(move.new)] = f"{summary.get(str(move.new), 'not reached')}, {FROM}{move.old}"
        loop.tools.state.save_operation(replace(begun, finished_at=places.now(), outcome=outcome, summary=summary))


def _close_left_open(state: StateStore) -> None:
    """Whoever holds the lease knows that nobody else is at work: an operation without an end was killed."""
    for operation in state.operations():
        if not operation.outcome:
            state.save_operation(replace(operation, outcome="killed"))


def _in_a_word(loop: Loop) -> str:
    if any(outcome.ending not in FINE for outcome in loop.outcomes.values()):
        return "failed"
    return "detached" if loop.flights or loop.waiting else "succeeded"
