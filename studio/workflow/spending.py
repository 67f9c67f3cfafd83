"""What a plan's jobs will take, and what an apply took, from what is recorded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from studio.apply.outcome import Ending, Outcome
from studio.backends import DIVIDING
from studio.core.references import Ref
from studio.desired import Desire
from studio.load.project import Loaded
from studio.plan.actions import Action, Plan, Verb
from studio.plan.decide import with_spend
from studio.plan.spend import Account, Past, Spend, asking, bill, past, spared
from studio.plan.workload import shared
from studio.resources.dataset import DatasetFacts
from studio.state.base import StateReader

if TYPE_CHECKING:
    from studio.compile import Target

GOOD = frozenset({Ending.DONE, Ending.MISSED})
BAD = frozenset({Ending.FAILED, Ending.CANCELLED})


def foreseen(plan: Plan, wanted: Desire, loaded: Loaded, state: StateReader) -> Plan:
    """The plan with estimates; artifacts are read only for a plan that runs or reuses something."""
    if not any(action.dispatches or action.verb is Verb.REUSE for action in plan.actions):
        return plan
    from studio.compile import Target

    artifacts = {(each.kind, each.fingerprint): each for each in state.artifacts()}
    known = past(artifacts.values())
    target = Target(loaded.root, loaded.settings, loaded.environment, "")

    def of(action: Action) -> Spend | None:
        if action.dispatches:
            return _estimate(action, wanted, target, state, known, _jobs(action.ref, wanted, loaded))
        artifact = artifacts.get((action.ref.kind, action.fingerprint))
        return spared(artifact) if artifact else None

    return with_spend(plan, of)


def _estimate(
    action: Action, wanted: Desire, target: Target, state: StateReader, known: Past, jobs: int
) -> Spend | None:
    from studio.compile import intended

    if action.resources is None:
        return None
    work = intended(wanted.items[action.ref], wanted, target, state) if known.runs else None
    if work is None:
        return asking(action.resources, jobs=jobs)
    return known.estimate(shared(work) if jobs > 1 else work, action.resources, _rows(action.ref, wanted))


def _jobs(job: Ref, wanted: Desire, loaded: Loaded) -> int:
    """How many jobs will share the work: where the backend divides it, one for each combination of an evaluation."""
    if loaded.settings.spec.backend.type not in DIVIDING:
        return 1
    return max(1, len(getattr(wanted.graph.resources[job].spec, "model_adapter_combinations", ())))


def _rows(job: Ref, wanted: Desire) -> int | None:
    """Rows of a job's data set, where they were counted."""
    dataset = getattr(wanted.graph.resources[job].spec, "dataset", "")
    facts = wanted.observations.get(Ref("Dataset", dataset))
    return facts.rows if isinstance(facts, DatasetFacts) else None


def settled(outcomes: Iterable[Outcome], state: StateReader) -> Account:
    """What the jobs took that an apply waited for, those that failed included, beside what was foreseen of them."""
    real, foretold, saved = [], [], []
    for outcome in outcomes:
        action = outcome.action
        if outcome.ending is Ending.REUSED and action.verb is Verb.REUSE and action.spend:
            saved.append(action.spend)
        took = _took(outcome, state) if action.dispatches else None
        if took:
            real.append(took)
            foretold.append(action.spend or replace(took, seconds=None))
    return Account(bill(real), bill(foretold), bill(saved))


def _took(outcome: Outcome, state: StateReader) -> Spend | None:
    action = outcome.action
    if action.resources is None:
        return None
    if outcome.ending in GOOD:
        artifact = state.artifact(action.ref.kind, action.fingerprint)
        measured = int(artifact.measures.get("parts", 1)) if artifact else 1
        return asking(action.resources, artifact.seconds if artifact else None, measured)
    if outcome.ending in BAD:
        jobs = action.spend.jobs if action.spend else 1  # none took longer than the run
        runs = (run for run in state.runs(action.ref) if run.fingerprint == action.fingerprint and run.finished_at)
        last = next(runs, None)
        if last and last.handle:  # else it was refused before it began, and took nothing
            return asking(action.resources, jobs * _between(last.submitted_at, last.finished_at), jobs)
    return None


def _between(start: str, end: str) -> float:
    """Seconds between two times as state has them."""
    return max(0.0, (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds())
