"""``studio status``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from studio.cli import options
from studio.cli.errors import Exit
from studio.core.errors import UsageError


@click.command(epilog="Example: studio status --json | jq '.[].state'")
@options.project
@options.variables
@options.as_json
@click.option("-w", "--watch", is_flag=True, help="Go on until nothing runs; Ctrl-C leaves.")
def command(folder: Path, environment: str, given: dict[str, str], as_json: bool, watch: bool) -> int:
    """What is declared, recorded and running, and who applied last. Reads only, and asks no network but the backend's
    and the state's."""
    from studio import inspection
    from studio.load.project import load_project
    from studio.report import standings
    from studio.workflow import places

    if watch and as_json:
        raise UsageError("--watch and --json exclude each other", "run the command once for each")
    loaded = load_project(options.root_of(folder), environment, given)
    state = places.open_state(loaded)
    if watch:
        from studio.cli.watching import until_nothing_runs

        try:
            until_nothing_runs(state, places.backend(loaded, os.environ, places.GLANCE_SECONDS))
        except KeyboardInterrupt:
            click.echo("\nStopped watching; what runs goes on.", err=True)
            return Exit.INTERRUPTED
    declared = loaded.resources
    found = inspection.standings(state, places.witness(loaded, os.environ), declared)
    if as_json:
        options.echo_json(standings.to_json(found))
    else:
        here = options.here(folder, environment, given)
        last = state.operations(1)
        click.echo(standings.to_text(found, next(iter(last), None), here, inspection.at_work(state, last)))
    return Exit.OK
