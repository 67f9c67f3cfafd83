"""``studio doctor``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from studio.cli import options
from studio.cli.errors import Exit
from studio.core.errors import UsageError


@click.command(epilog="Example: studio doctor --online")
@options.project
@click.option("--online", is_flag=True, help="Also ask the hub, the MLflow server and the workspace.")
@options.as_json
def command(folder: Path, environment: str, online: bool, as_json: bool) -> int:
    """Whether this machine has what the project's jobs need, and what to do where it has not.

    Works outside a project too. Exit code 1 when something is missing that the project needs.
    """
    from studio.doctor import CHECKS
    from studio.doctor.checkup import Surroundings, fails, run
    from studio.load.project import load_project
    from studio.report import checkups
    from studio.workflow import places

    try:
        root = options.root_of(folder)
    except UsageError:
        loaded = None
    else:
        loaded = load_project(root, environment)
    around = Surroundings(
        folder.resolve(), loaded, os.environ, lambda: places.state_url(loaded) if loaded else "", online
    )
    found = []
    for name, checkup in run(CHECKS, around):
        found.append((name, checkup))
        if not as_json:
            click.echo(checkups.line(name, checkup))
    seen = [checkup for _, checkup in found]
    if as_json:
        options.echo_json(checkups.to_json(found))
    else:
        click.echo(f"\n{checkups.summary(seen)}")
    return Exit.FINDINGS if fails(seen) else Exit.OK
