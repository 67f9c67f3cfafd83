"""Drift: what is recorded is looked for where it should be, in files, MLflow, on the hub and where jobs run.

Reads only: files are hashed, MLflow is asked by a child process that can not write, and the hub only when asked to.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from studio.backends.base import Handle
from studio.checking import view
from studio.core.errors import StudioError
from studio.core.findings import EVERYTHING, OFFLINE
from studio.core.fingerprints import digest, folder_digest, tree
from studio.core.references import Ref
from studio.load.adapters import ADAPTER_WEIGHTS
from studio.load.answers import anew
from studio.load.artifacts import is_present
from studio.load.observation import Defect, Observation, Unusable
from studio.load.project import Loaded, load_project
from studio.observe import look_at
from studio.plan.drift import (
    Comparison,
    Drift,
    Past,
    Sort,
    Subject,
    Unseen,
    compare,
    expectations,
    went_elsewhere,
)  # fmt: skip
from studio.resources import KINDS
from studio.resources.adapter import AdapterFacts
from studio.resources.dataset import DatasetFacts
from studio.resources.model import ModelFacts
from studio.state.base import ACTIVE, StateReader
from studio.workflow import elsewhere, experiments, places, served
from studio.workflow.sight import Looks, Sight

ALIKE = {Sort.VERSION: Sort.RUN, Sort.LOGGED: Sort.COMMIT}
"""Looked at in one go."""


def drift(root: Path, environment: str, *, online: bool = False) -> Comparison:
    """Everything that is not as recorded. Manifests need not be free of errors for this."""
    loaded = load_project(root, environment)
    with anew():
        seen = view(loaded, EVERYTHING if online else OFFLINE)
    state = places.open_state(loaded)
    looks = look(Sight(loaded, seen.graph.resources, seen.observations, seen.online), state)
    known = past(loaded, state, online=online)
    expected = expectations(known)
    drifts = compare(expected, looks.found, _managed(loaded, known))
    facts = sum(each.subject in looks.found for each in expected)
    return Comparison(environment, state.lineage(), drifts, tuple(looks.unseen), facts)


def drifts_now(loaded: Loaded, state: StateReader, looks: Looks) -> tuple[Drift, ...]:
    """The same of what was looked at before, against a state as it is now."""
    known = past(loaded, state, online=looks.online)
    return compare(expectations(known), looks.found, _managed(loaded, known))


def _managed(loaded: Loaded, known: Past) -> set[Ref]:
    """What apply has a manifest for, or may have one in a file that cannot be read."""
    return {ref for ref in known.records if ref in loaded.manifests or ref.name in loaded.unread} | {*loaded.manifests}


def past(loaded: Loaded, state: StateReader, *, online: bool) -> Past:
    runs = state.runs()
    under_way = tuple(run for run in runs if run.status in ACTIVE)
    here = places.registry(loaded, os.environ)
    reach = places.reach(loaded, os.environ)
    made_here = frozenset(run.key for run in runs)
    return Past(state.records(), under_way, made_here, here, online, reach.place if reach.elsewhere else None)


def look(sight: Sight, state: StateReader) -> Looks:
    """Look for everything that is recorded."""
    known = past(sight.loaded, state, online=sight.online is not None)
    looks = Looks(online=known.online)
    asked: dict[Sort, list[Subject]] = {sort: [] for sort in _LOOKING}
    for subject in dict.fromkeys(each.subject for each in expectations(known)):
        asked[ALIKE.get(subject.sort, subject.sort)].append(subject)
    for sort, subjects in asked.items():
        if subjects:
            _LOOKING[sort](sight, known, subjects, looks)
    elsewhere = went_elsewhere(known)
    if elsewhere:
        names = ", ".join(map(str, elsewhere[:3])) + (" …" if len(elsewhere) > 3 else "")
        looks.unseen.append(Unseen(names, "exported to another registry than the one of studio.yaml"))
    return looks


def _contents(sight: Sight, known: Past, subjects: list[Subject], looks: Looks) -> None:
    """Where the manifest says the content is; without one, where the record says."""
    for subject in subjects:
        ref = Ref(*subject.key)
        facts = sight.observations.get(ref) if ref in sight.resources else _recorded_content(ref, sight, known)
        match facts:
            case DatasetFacts() | ModelFacts() | AdapterFacts():
                looks.found[subject] = digest(facts.digest)
            case Unusable(defect=Defect.MISSING):
                looks.found[subject] = None
            case Unusable():
                looks.found[subject] = facts.message


def _recorded_content(ref: Ref, sight: Sight, known: Past) -> Observation:
    record = known.records[ref]
    content = {"kind": ref.kind, "metadata": record.metadata, "spec": record.spec}
    try:
        return look_at(KINDS[ref.kind].model.model_validate(content), sight.loaded.root)
    except ValidationError:  # recorded by another version, with fields that are gone
        return None


def _on_disk(sight: Sight, known: Past, subjects: list[Subject], looks: Looks) -> None:
    for subject in subjects:
        try:
            found = _DISK[subject.sort](sight.loaded.root, *subject.key)
        except OSError as error:
            looks.unseen.append(Unseen(subject.key[-1], error.strerror or str(error), "check the file and its rights"))
        else:
            if found is not None or subject.sort is not Sort.FOLDER or not _kept_elsewhere(sight, known, subject):
                looks.found[subject] = found


def _kept_elsewhere(sight: Sight, known: Past, subject: Subject) -> bool:
    """Whether an adapter that was trained on another disk can be fetched."""
    outputs = (record.outcome.get("output", {}) for record in known.records.values())
    reach = places.reach(sight.loaded, os.environ)
    return any(is_present(output, reach) for output in outputs if output.get("adapter") == subject.key[0])


def _stored(sight: Sight, known: Past, subjects: list[Subject], looks: Looks) -> None:
    """Whether what jobs left in a workspace is still there."""
    try:
        backend = places.backend(sight.loaded, os.environ, places.GLANCE_SECONDS)
        for subject in subjects:
            there = backend.holds(f"{subject.key[0]}/{ADAPTER_WEIGHTS}")
            looks.found[subject] = "there" if there else None
    except StudioError as error:
        looks.unseen.append(Unseen("adapters in the workspace", error.message, error.hint))


def _folder(root: Path, location: str) -> str | None:
    files = tree(root / location)
    return folder_digest(files) if files else None


def _copy(root: Path, location: str, copy: str) -> str | None:
    """Digest of a copy, by the names of the files that were copied: others may lie beside them."""
    names = tree(root / location)
    there = {name: root / copy / name for name in names if (root / copy / name).is_file()}
    return folder_digest(there) if there else None


def _file(root: Path, location: str) -> str | None:
    return "there" if (root / location).is_file() else None


_DISK: dict[Sort, Callable[..., str | None]] = {Sort.FOLDER: _folder, Sort.COPY: _copy, Sort.FILE: _file}


def _mlflow(sight: Sight, known: Past, subjects: list[Subject], looks: Looks) -> None:
    found, unseen = experiments.look(sight.loaded, subjects, elsewhere=known.away is not None)
    looks.found |= found
    looks.unseen += unseen


def _jobs(sight: Sight, known: Past, subjects: list[Subject], looks: Looks) -> None:
    """What became of jobs that are recorded as under way."""
    try:
        backend = places.backend(sight.loaded, os.environ, places.GLANCE_SECONDS)
        for subject in subjects:
            handle: Handle | None = backend.find(subject.key[0], int(subject.key[1]))
            looks.found[subject] = backend.poll(handle).state.value if handle else None
    except StudioError as error:
        looks.unseen.append(Unseen("running jobs", error.message, error.hint))


def _endpoints(sight: Sight, known: Past, subjects: list[Subject], looks: Looks) -> None:
    here = places.workspace(sight.loaded, os.environ)
    own = [subject for subject in subjects if subject.key[0] == here]
    for place in sorted({subject.key[0] for subject in subjects} - {here}):
        looks.unseen.append(Unseen(f"endpoints in {place}", "this environment's jobs run elsewhere"))
    try:
        looks.found |= served.look(places.backend(sight.loaded, os.environ, places.GLANCE_SECONDS), own) if own else {}
    except StudioError as error:
        looks.unseen.append(Unseen("endpoints", error.message, error.hint))


_LOOKING: dict[Sort, Callable[[Sight, Past, list[Subject], Looks], None]] = {
    Sort.CONTENT: _contents,
    Sort.FOLDER: _on_disk,
    Sort.COPY: _on_disk,
    Sort.FILE: _on_disk,
    Sort.STORED: _stored,
    Sort.RUN: _mlflow,
    Sort.COMMIT: elsewhere.sources,
    Sort.REGISTERED: elsewhere.registrations,
    Sort.JOB: _jobs,
    Sort.ENDPOINT: _endpoints,
}
"""Who looks at what."""
