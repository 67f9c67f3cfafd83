"""The steps of every command, in order: load, graph, observe, check, desire, plan, apply. The only place where the
parts meet."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from studio import saved_plan
from studio.apply import FINE, Loop, Outcome, Tools, Watcher
from studio.backends import BACKENDS
from studio.backends.base import Backend
from studio.checking import Checked, examine
from studio.compile import Target
from studio.core.errors import StudioError
from studio.core.findings import OFFLINE, Phase
from studio.core.references import Ref
from studio.core.suggest import did_you_mean
from studio.desired import Desire, desire
from studio.load import commit
from studio.load.adapters import ADAPTER_WEIGHTS
from studio.load.job_memory import Inputs, needed
from studio.load.project import Loaded, load_project
from studio.load.settings import SecretName
from studio.plan import Plan, Recorded, make_plan, with_memory
from studio.recording import Recorder, missed
from studio.resources import KINDS
from studio.state.base import ACTIVE, Operation, StateReader

pause = time.sleep
"""Between two looks at running jobs; seconds."""


@dataclass(slots=True)
class Planned:
    """A checked project with what should be and what would happen."""

    checked: Checked
    desire: Desire
    plan: Plan
    state: StateReader


def plan(root: Path, environment: str, phases: Iterable[Phase] = OFFLINE) -> Planned | Checked:
    """What would happen and why; the checked project alone when it has errors. Writes nothing."""
    checked = examine(load_project(root, environment), phases)
    return checked if checked.errors else planned(checked)


def planned(checked: Checked) -> Planned:
    """What would happen to a project without errors, and why."""
    return _planned(checked, open_state(checked.loaded))


def open_state(loaded: Loaded) -> StateReader:
    """The project's state, for reading; raises StudioError when studio.yaml does not reliably say where that is."""
    if loaded.damaged:
        raise StudioError("studio.yaml has errors", "'studio validate' shows them")
    from studio.state.sql import open_reader

    return open_reader(state_url(loaded), loaded.root, loaded.environment)


def state_url(loaded: Loaded) -> str:
    """Where state lives; a secret URL comes from the variable that studio.yaml names."""
    state = loaded.settings.spec.state
    if not isinstance(state, SecretName):
        return state
    value = os.environ.get(state.env)
    if not value:
        raise StudioError(
            f"the environment variable {state.env} is not set", "studio.yaml says it holds the state's URL"
        )
    return value


def backend(loaded: Loaded, environ: Mapping[str, str]) -> Backend:
    """Where jobs run."""
    type = loaded.settings.spec.backend.type
    if type not in BACKENDS:
        raise StudioError(f"the backend type {type!r} is unknown", did_you_mean(type, BACKENDS))
    return BACKENDS[type](loaded.root, environ)


def missed_gates(planned: Planned) -> list[str]:
    """Gates that recorded evaluations of the project do not meet, in words."""
    records = planned.state.records()
    wanted = (records[ref] for ref in planned.desire.items if ref in records)
    return [f"{record.ref}: {words}" for record in wanted for words in missed(record)]


@dataclass(frozen=True, slots=True)
class Applied:
    """What an apply did."""

    plan: Plan
    outcomes: dict[Ref, Outcome]

    @property
    def failed(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes.values() if outcome.ending not in FINE]


def apply(planned: Planned, watcher: Watcher, parallelism: int, *, agreed: bool = False) -> Applied:
    """Make it so. The lease is taken first and the plan is made again under it, so that nothing stale is applied.

    ``agreed``: somebody said yes to this very plan; raises StalePlanError when it is not the same any more.
    """
    from studio.state.lease import held
    from studio.state.sql import open_engine

    loaded = planned.checked.loaded
    engine = open_engine(state_url(loaded), loaded.root)
    with held(engine, loaded.environment, time.time) as state:
        current = _planned(planned.checked, state)
        if agreed:
            saved_plan.demand_same(saved_plan.content(planned.plan), current.plan)
        target = Target(loaded.root, loaded.settings, loaded.environment, commit.commit(loaded.root, os.environ))
        sources = {ref: manifest.source.file for ref, manifest in loaded.manifests.items()}
        recorder = Recorder(state, sources, target.commit, now, _new_id, dict(state.records()))
        tools = Tools(
            current.desire, target, state, backend(loaded, os.environ), recorder, watcher, now, time.time, pause,
            present=lambda artifact: _present(artifact.output, loaded.root), parallelism=parallelism,
        )  # fmt: skip
        loop = Loop(tools, current.plan)
        begun = Operation(_new_id(), loaded.environment, "apply", commit.actor(os.environ), target.commit, now())
        with _recorded(begun, loop):
            loop.run()
        return Applied(current.plan, loop.outcomes)


@contextmanager
def _recorded(begun: Operation, loop: Loop) -> Iterator[None]:
    """Note the operation, also when it is interrupted; a plan with nothing to do leaves no trace."""
    if not loop.plan.pending:
        yield
        return
    outcome = "interrupted"
    loop.tools.state.save_operation(begun)
    try:
        yield
        outcome = "failed" if any(o.ending not in FINE for o in loop.outcomes.values()) else "succeeded"
    finally:
        changed = {action.ref for action in loop.plan.pending}
        summary = {str(ref): o.ending.value for ref, o in loop.outcomes.items() if ref in changed}
        loop.tools.state.save_operation(replace(begun, finished_at=now(), outcome=outcome, summary=summary))


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _new_id() -> str:
    return str(uuid.uuid4())


def _planned(checked: Checked, state: StateReader) -> Planned:
    defaults = {ref: manifest.resource for ref, manifest in checked.loaded.defaults.items()}
    wanted = desire(checked.graph, checked.observations, defaults)
    recorded = _recorded_state(wanted, state, checked.loaded.root)
    inputs = Inputs(checked.loaded.root, wanted.graph.resources, wanted.observations, wanted.default_configs)
    made = make_plan(wanted, recorded, checked.loaded.environment, checked.loaded.settings)
    return Planned(checked, wanted, with_memory(made, partial(needed, inputs)), state)


def _recorded_state(wanted: Desire, state: StateReader, root: Path) -> Recorded:
    """Records, and the artifacts whose files are still there."""
    kinds = [kind for kind, declared in KINDS.items() if declared.compile]
    outputs = {kind: state.outputs(kind) for kind in kinds}
    done = [item for item in wanted.items.values() if item.fingerprint in outputs.get(item.ref.kind, ())]
    lost = [item for item in done if not _present(outputs[item.ref.kind][item.fingerprint], root)]
    gone = frozenset(item.ref for item in lost)
    missing = {item.fingerprint for item in lost}
    artifacts = {kind: frozenset(outputs[kind]) - missing for kind in kinds}
    under_way = frozenset((run.ref, run.fingerprint) for run in state.runs() if run.status in ACTIVE)
    return Recorded(state.lineage(), state.records(), artifacts, gone, under_way)


def _present(output: Mapping[str, Any], root: Path) -> bool:
    """Whether what a job produced is still where it was put."""
    location = output.get("adapter")
    return not isinstance(location, str) or (root / location / ADAPTER_WEIGHTS).is_file()
