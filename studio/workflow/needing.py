"""Whether the machine has what jobs of a plan need of it, and what their judges get to see: known before any starts.

Jobs on Cloudera ML are not judged by this machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from studio.core.errors import JobError, StudioError
from studio.core.findings import Finding, Path, Severity
from studio.core.needs import Need
from studio.core.references import Ref
from studio.desired import Desire, Desired, base_model
from studio.load.positions import place
from studio.load.project import Loaded
from studio.plan.actions import Action, Plan
from studio.plan.premises import Lack, disclosures
from studio.report.findings import plural
from studio.resources import KINDS
from studio.resources.dataset import EXTENSIONS, Dataset, DatasetFacts
from studio.resources.evaluation_job import EvaluationJob
from studio.state.base import StateReader

if TYPE_CHECKING:
    from studio.jobs.needs import Place

LOCAL = "local"


def with_premises(plan: Plan, wanted: Desire, loaded: Loaded, state: StateReader, environ: Mapping[str, str]) -> Plan:
    """The plan with what this machine lacks for it, and with the rows that its judges will see."""
    if not any(_starts(action) for action in plan.actions):
        return plan
    told = replace(plan, actions=tuple(_disclosing(action, wanted, loaded, state) for action in plan.actions))
    if loaded.settings.spec.backend.type != LOCAL:
        return told
    return replace(told, lacking=_lacking(plan, wanted, loaded, environ))


def demand_equipped(plan: Plan) -> None:
    """Raise StudioError, with all that this machine lacks, where jobs of a plan could not run."""
    if not plan.lacking:
        return
    jobs = {ref for each in plan.lacking for ref in each.refs}
    faults = "; ".join(f"{each.position}: {each.message}" for each in plan.lacking)
    hints = "; ".join(dict.fromkeys(each.hint for each in plan.lacking))
    raise StudioError(f"this machine lacks what {plural(len(jobs), 'job')} would need: {faults}", hints)


def _starts(action: Action) -> bool:
    """Whether apply would start its job: not one that is under way, nor one that is held back."""
    return action.dispatches and not (action.attaches or action.held)


def _lacking(plan: Plan, wanted: Desire, loaded: Loaded, environ: Mapping[str, str]) -> tuple[Lack, ...]:
    from studio.jobs.needs import Place

    asked: dict[Need, list[Ref]] = {}
    for action in plan.actions:
        for need in _needs(wanted.items[action.ref], wanted) if _starts(action) else ():
            asked.setdefault(need, []).append(action.ref)
    here = Place(loaded.root, loaded.settings.spec.python_of_axolotl, environ)
    found = (_lack(need, refs, here, loaded) for need, refs in asked.items())
    return tuple(each for each in found if each)


def _needs(item: Desired, wanted: Desire) -> tuple[Need, ...]:
    needs, family = KINDS[item.ref.kind].needs, wanted.family(base_model(item.resource))

    def config(type: str, value: str | dict[str, Any] | None) -> Mapping[str, Any]:
        return wanted.config(type, value, family)[1]

    return tuple(needs(item.resource, config)) if needs else ()


def _lack(need: Need, refs: list[Ref], here: Place, loaded: Loaded) -> Lack | None:
    from studio.jobs.needs import found

    try:
        found(need, here)
    except JobError as error:
        return Lack(error.message, error.hint, tuple(refs), _where(refs[0], need.path, loaded))
    return None


def _where(ref: Ref, path: Path, loaded: Loaded) -> str:
    finding = Finding("", Severity.ERROR, "", resource=ref, path=path, source=loaded.manifests[ref].source)
    [placed] = place(loaded.root, [finding])
    return str(placed.position)


def _disclosing(action: Action, wanted: Desire, loaded: Loaded, state: StateReader) -> Action:
    item = wanted.items.get(action.ref)
    if not _starts(action) or item is None or not isinstance(item.resource, EvaluationJob):
        return action
    if not item.resource.spec.judges:
        return action
    from studio.compile import Target, intended_work
    from studio.core.jobspec import EvaluationWork

    work = intended_work(item, wanted, Target(loaded.root, loaded.settings, loaded.environment, ""), state)
    if not isinstance(work, EvaluationWork):
        return action
    return replace(action, disclosures=disclosures(work, _rows(item.resource, wanted)))


def _rows(job: EvaluationJob, wanted: Desire) -> int | None:
    """Rows of a data set that is one file; folders and the hub may bring held-out rows of their own."""
    ref = Ref("Dataset", job.spec.dataset)
    dataset, facts = wanted.graph.resources.get(ref), wanted.observations.get(ref)
    is_file = isinstance(dataset, Dataset) and dataset.spec.type in EXTENSIONS
    return facts.rows if is_file and isinstance(facts, DatasetFacts) else None
