"""The steps from a project's folder to a plan: load, graph, observe, check, desire, plan. Writes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from studio.apply.foretelling import with_held
from studio.apply.recording import missed
from studio.checking import Checked, examine, recheck
from studio.choosing import settle, sweeps
from studio.core.findings import OFFLINE, Phase
from studio.core.fingerprints import digest
from studio.core.job_keys import purpose
from studio.core.references import Ref
from studio.desired import REGISTRY, WORKSPACE, Desire, desire
from studio.load.answers import anew
from studio.load.artifacts import absence, is_present
from studio.load.observation import Observation
from studio.load.online import logged
from studio.load.project import NOTHING, Loaded, load_project
from studio.load.registry import registered_id
from studio.load.verdicts import Shelf
from studio.plan.actions import Plan, Refreshed
from studio.plan.decide import Recorded, make_plan, with_memory
from studio.plan.drift import Drift, by_resource
from studio.plan.moves import after
from studio.plan.selection import WHOLE, Selection
from studio.resources import KINDS
from studio.resources.adapter import Adapter
from studio.resources.base import stored
from studio.resources.fine_tuning_job import FineTuningJob
from studio.resources.model import Model, ModelType
from studio.resources.model_export import ModelExport
from studio.state.base import StateReader
from studio.workflow import places, spending
from studio.workflow.needing import with_premises

if TYPE_CHECKING:
    from studio.workflow.sight import Looks


@dataclass(slots=True)
class Planned:
    """A checked project with what should be and what would happen."""

    checked: Checked
    desire: Desire
    plan: Plan
    state: StateReader
    recorded: Recorded
    looks: Looks | None = None
    """What was found where records were compared with what is there."""
    drifts: tuple[Drift, ...] = ()


def plan(
    root: Path,
    environment: str,
    phases: Iterable[Phase] = OFFLINE,
    shelf: Shelf | None = None,
    given: Mapping[str, str] = NOTHING,
    selection: Selection = WHOLE,
    *,
    refresh: Refreshed = Refreshed.NOT,
) -> Planned | Checked:
    """What would happen and why; the checked project alone when it has errors. Writes nothing into the project.

    With a ``shelf``, where offline findings are kept, only the offline rules count. ``refresh``: records are compared
    with what is there first.
    """
    with anew() if refresh is Refreshed.ONLINE else nullcontext():
        checked = (
            recheck(root, environment, shelf) if shelf else examine(load_project(root, environment, given), phases)
        )
    return checked if checked.errors else planned(checked, selection, refresh=refresh)


def planned(checked: Checked, selection: Selection = WHOLE, *, refresh: Refreshed = Refreshed.NOT) -> Planned:
    """What would happen to a project without errors, and why."""
    state = places.open_state(checked.loaded)
    return plan_against(checked, state, selection, _looks(checked, state, refresh))


def _looks(checked: Checked, state: StateReader, refresh: Refreshed) -> Looks | None:
    if refresh is Refreshed.NOT:
        return None
    from studio.workflow.refreshing import look
    from studio.workflow.sight import Sight

    online = checked.online if refresh is Refreshed.ONLINE else None
    return look(Sight(checked.loaded, checked.graph.resources, checked.observations, online), state)


def plan_against(
    checked: Checked, state: StateReader, selection: Selection = WHOLE, looks: Looks | None = None
) -> Planned:
    """The same against a state that is open already, and what was found before."""
    defaults = {ref: manifest.resource for ref, manifest in checked.loaded.defaults.items()}
    observations = _known_runs(checked, state)
    wanted = desire(checked.graph, observations, defaults, _registries(checked, state))
    if sweeps(wanted):
        settle(wanted, state.outputs(FineTuningJob.__name__))
    recorded = _recorded_state(wanted, state, checked.loaded)
    if selection.destroy:
        recorded = _with_manifests(recorded, checked.loaded)
    drifts: tuple[Drift, ...] = ()
    if looks:
        from studio.workflow.refreshing import drifts_now

        drifts = drifts_now(checked.loaded, state, looks)
        asked = Refreshed.ONLINE if looks.online else Refreshed.OFFLINE
        recorded = replace(recorded, drift=by_resource(drifts), refreshed=asked)
    made = make_plan(wanted, recorded, checked.loaded.environment, checked.loaded.settings, selection)
    if any(action.dispatches for action in made.actions):
        made = _estimated(made, wanted, checked.loaded.root)
    made = replace(made, variables=checked.loaded.given, warnings=(*made.warnings, *_unknown_runs(made, wanted)))
    made = spending.foreseen(made, wanted, checked.loaded, state)
    recorded = replace(recorded, records=after(recorded.records, made.moves)) if made.moves else recorded
    made = with_premises(with_held(made, wanted, recorded.records), wanted, checked.loaded, state, os.environ)
    return Planned(checked, wanted, _with_left(made, wanted, state), state, recorded, looks, drifts)


def _with_manifests(recorded: Recorded, loaded: Loaded) -> Recorded:
    """What a destroy must know of manifests: what they protect, and what may be named although it is gone."""
    protected = (ref for ref, each in loaded.manifests.items() if each.resource.metadata.protect)
    return replace(recorded, protected=frozenset(protected), nameable=frozenset(loaded.manifests))


def _with_left(made: Plan, wanted: Desire, state: StateReader) -> Plan:
    """The plan with the jobs of earlier versions; there hardly ever are any."""
    active = state.active()
    if not active:
        return made
    from studio.apply.orphans import left_behind

    return replace(made, left=tuple(sorted({run.ref for run in left_behind(active, wanted, made)})))


def _estimated(made: Plan, wanted: Desire, root: Path) -> Plan:
    """The plan with what its jobs need; that arithmetic is imported only for a plan that runs any."""
    from studio.load.job_memory import Inputs, needed

    inputs = Inputs(root, wanted.graph.resources, wanted.observations, wanted.default_configs)
    return with_memory(made, partial(needed, inputs))


def missed_gates(planned: Planned) -> list[str]:
    """Gates that recorded evaluations of the project do not meet, in words."""
    records = planned.recorded.records
    wanted = (records[ref] for ref in planned.desire.items if ref in records)
    return [f"{record.ref}: {words}" for record in wanted for words in missed(record)]


def _registries(checked: Checked, state: StateReader) -> dict[Ref, str]:
    """Where each export goes, hashed. Where the variable with the address is not set, as in a pull request from a fork,
    an export is taken to go where its record says."""
    everything = {ref: each for ref, each in checked.graph.resources.items() if isinstance(each, ModelExport)}
    exports = [ref for ref, each in everything.items() if not each.is_endpoint]
    served = [ref for ref, each in everything.items() if each.is_endpoint]
    return _served(checked, state, served) | _filed(checked, state, exports)


def _served(checked: Checked, state: StateReader, endpoints: list[Ref]) -> dict[Ref, str]:
    """Which workspace serves each endpoint; one whose address is not known here is the one that the record tells."""
    if workspace := places.workspace(checked.loaded, os.environ):
        return dict.fromkeys(endpoints, digest(workspace))
    records = state.records() if endpoints else {}
    past = {ref: records[ref].inputs.get(WORKSPACE, "") for ref in endpoints if ref in records}
    return {ref: known for ref, known in past.items() if known}


def _filed(checked: Checked, state: StateReader, exports: list[Ref]) -> dict[Ref, str]:
    """The same of those that go to a registry."""
    registry = places.registry(checked.loaded, os.environ) if exports else ""
    if registry is not None:
        return dict.fromkeys(exports, registry) if registry else {}
    records, unknown = state.records(), digest(stored(checked.loaded.settings.spec.mlflow))
    past = {ref: records[ref].inputs.get(REGISTRY, "") if ref in records else unknown for ref in exports}
    return {ref: known for ref, known in past.items() if known}


def _known_runs(checked: Checked, state: StateReader) -> Mapping[Ref, Observation]:
    """What was observed, and where the registry has not answered now, the MLflow runs that it named when it did."""
    seen = checked.observations
    models = (each for each in checked.graph.resources.values() if isinstance(each, Model | Adapter))
    silent = [each for each in models if each.spec.type == ModelType.MODEL_REGISTRY and seen.get(each.ref) is None]
    if not silent:
        return seen
    records = state.records().values()
    past = {(record.ref.kind, registered_id(record.spec)): record.facts for record in records}
    found = dict(seen)
    for resource in silent:
        facts = past.get((resource.kind, registered_id(stored(resource.spec))), {})
        if run := facts.get("mlflow_run_id"):
            found[resource.ref] = logged(resource, facts.get("mlflow_experiment_id", ""), run)
    return found


def _unknown_runs(made: Plan, wanted: Desire) -> Iterator[str]:
    """What only the registry knows, and it has not told: said, not guessed."""
    data = (wanted.items[action.ref] for action in made.actions if action.ref in wanted.items)
    unknown = [item.ref for item in data if item.facts is None and registered_id(item.spec)]
    if unknown:
        more = f", and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        yield (
            f"not known yet: the MLflow run that logged {unknown[0]}{more}; apply asks the model registry, and so does "
            "plan --online, which a plan that is to be saved and applied as it is needs"
        )


def _recorded_state(wanted: Desire, state: StateReader, loaded: Loaded) -> Recorded:
    """Records, and the artifacts whose files can be had."""
    reach = places.reach(loaded, os.environ)
    kinds = [kind for kind, declared in KINDS.items() if declared.compile]
    outputs = {kind: state.outputs(kind) for kind in kinds}
    done = [item for item in wanted.items.values() if item.fingerprint in outputs.get(item.ref.kind, ())]
    found = {item.ref: outputs[item.ref.kind][item.fingerprint] for item in done}
    gone = {ref: absence(output, reach) for ref, output in found.items() if not is_present(output, reach)}
    missing = {item.fingerprint for item in done if item.ref in gone}
    artifacts = {kind: frozenset(outputs[kind]) - missing for kind in kinds}
    under_way = frozenset((run.ref, run.fingerprint) for run in state.active() if not purpose(run.key))
    return Recorded(state.lineage(), state.records(), artifacts, gone, under_way)
