"""``studio show``."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import Path

import click

from studio.cli import options
from studio.core.errors import UsageError


@click.command(epilog="Example: studio show EvaluationJob/router-vs-base")
@click.argument("name", required=False, metavar="[KIND/]NAME")
@options.project
@options.variables
@options.as_json
@click.option("--defaults", is_flag=True, help="List the manifests that come with studio.")
def command(
    name: str | None, folder: Path, environment: str, given: dict[str, str], as_json: bool, defaults: bool
) -> None:
    """One resource in full: facts, metrics, the comparison with the baseline, gates, and its latest run."""
    from studio import inspection, provenance, traces
    from studio.cli import resource
    from studio.load.project import load_project
    from studio.report import standings
    from studio.workflow import places

    if defaults:
        _show_defaults(name, as_json)
        return
    if name is None:
        raise UsageError("which resource?", "studio show Kind/name; 'studio status' lists them")
    loaded = load_project(options.root_of(folder), environment, given)
    state = places.open_state(loaded)
    records, runs = state.records(), state.runs()
    declared = loaded.resources
    held = {ref: why for ref, each in declared.items() if (why := inspection.held(each, records))}
    known = [*records, *(run.ref for run in runs)]
    begun = inspection.begun(known, declared)
    ref = resource.recorded(name, [*known, *held, *begun], loaded)
    latest = next((run for run in runs if run.ref == ref), None)
    witness = places.witness(loaded, os.environ)
    found = inspection.standing(ref, records.get(ref), latest, witness, held.get(ref, ""))
    found = replace(found, trials=inspection.tried(ref, declared, state, witness))
    links = provenance.chain(ref, state)
    if as_json:
        made_from = [{**asdict(link), "ref": str(link.ref)} for link in links]
        options.echo_json({**standings.to_json([found])[0], "provenance": made_from})
    else:
        told = traces.course_of(loaded.root, records.get(ref), latest) if ref.kind == "FineTuningJob" else None
        click.echo("\n".join([standings.detail(found, told), *standings.chain(links)]))


def _show_defaults(name: str | None, as_json: bool) -> None:
    from studio.load.project import shipped_defaults
    from studio.resources.base import stored

    found = {
        ref: manifest.resource for ref, manifest in shipped_defaults().items() if name in (None, ref.name, str(ref))
    }
    if not found:
        raise UsageError(f"no shipped manifest is called {name!r}", "'studio show --defaults' lists them")
    if as_json or name:
        options.echo_json([{"resource": str(ref), "spec": stored(each.spec)} for ref, each in found.items()])
        return
    width = max(len(str(ref)) for ref in found)
    for ref, each in sorted(found.items()):
        click.echo(f"{ref!s:{width}}  {each.metadata.description}".rstrip())
