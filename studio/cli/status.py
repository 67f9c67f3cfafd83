"""``studio status``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from studio.cli import options


@click.command(epilog="Example: studio status --json | jq '.[].state'")
@options.project
@options.as_json
def command(folder: Path, environment: str, as_json: bool) -> None:
    """What is recorded, what is running, and who applied last. Reads only."""
    from studio import inspection
    from studio.load.project import load_project
    from studio.report import standings
    from studio.workflow import places

    loaded = load_project(options.root_of(folder), environment)
    state = places.open_state(loaded)
    found = inspection.standings(state, places.backend(loaded, os.environ))
    if as_json:
        options.echo_json(standings.to_json(found))
    else:
        click.echo(standings.to_text(found, next(iter(state.operations(1)), None)))
