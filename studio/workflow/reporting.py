"""Everything a report shows, gathered: state, manifests, and what jobs left on this disk. Reads only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from studio import inspection, traces
from studio.core.references import Ref
from studio.graph import build
from studio.load.project import Loaded
from studio.report.graphs import picture
from studio.report.pages import project, resource
from studio.report.pages.document import Document
from studio.report.pages.view import Evidence, View
from studio.state.base import Record, StateReader
from studio.workflow import places

OPERATIONS = 1000
"""Among which it is looked for who wrote a record."""


def view(loaded: Loaded, state: StateReader, environ: Mapping[str, str]) -> View:
    """The project as it stands; jobs under way are asked for."""
    resources = {ref: manifest.resource for ref, manifest in loaded.manifests.items()}
    defaults = {ref: manifest.resource for ref, manifest in loaded.defaults.items()}
    witness = places.witness(loaded, environ)
    found = inspection.standings(state, witness, resources)
    standings = {  # of a job of an earlier version, the present one counts
        each.ref: replace(each, trials=inspection.tried(each.ref, loaded.resources, state, witness))
        for each in reversed(found)
    }
    operations, runs = state.operations(OPERATIONS), state.runs()
    return View(
        project=loaded.settings.metadata.name,
        environment=loaded.environment,
        standings=dict(sorted(standings.items())),
        picture=picture(build(resources, defaults), resources),
        operations=operations,
        at_work=inspection.at_work(state, operations),
        runs=runs,
        courses={
            ref: traces.course_of(loaded.root, each.record, each.run)
            for ref, each in standings.items()
            if ref.kind == "FineTuningJob"
        },
    )


def report(loaded: Loaded, found: View, ref: Ref | None) -> Document:
    """The page of a resource, or of the project."""
    return resource.document(found, ref, evidence(loaded, found, ref)) if ref else project.document(found)


def evidence(loaded: Loaded, found: View, ref: Ref) -> Evidence:
    """What the job of a resource left; of a training also what an evaluation asked its adapter."""
    record = found.records.get(ref)
    run = found.standings[ref].run
    run_dir = record.outcome.get("run_dir") if record else None
    own = _combinations(record)
    asked = own or _combinations(next(_evaluations(found, ref), None))
    return Evidence(
        spec=traces.job_spec(loaded.root, run_dir or (run.filing.get("run_dir") if run else None)),
        who=[" + ".join(filter(None, (str(each.get("model", "")), str(each.get("adapter", ""))))) for each in asked],
        sheets=[traces.predictions(loaded.root, each.get("predictions")) for each in asked],
        matrices=[traces.matrix(loaded.root, each.get("confusion")) for each in own],
    )


def _evaluations(found: View, ref: Ref) -> Iterator[Record]:
    """Of what a training made."""
    if ref.kind == "FineTuningJob":
        yield from (each for each in found.records.values() if str(ref) in each.inputs and _combinations(each))


def _combinations(record: Record | None) -> list[dict[str, Any]]:
    output = (record.outcome.get("output") or {}) if record else {}
    return list(output.get("combinations") or ())
