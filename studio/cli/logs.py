"""``studio logs``."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from studio.backends.base import Backend, Handle, JobState
from studio.cli import options
from studio.core.errors import UsageError


@click.command(epilog="Example: studio logs FineTuningJob/router --follow")
@click.argument("name", metavar="[KIND/]NAME")
@options.project
@click.option("-f", "--follow", is_flag=True, help="Go on printing until the job ends.")
@click.option("-n", "--lines", type=click.IntRange(1), metavar="N", help="Only the last N lines.")
def command(name: str, folder: Path, environment: str, follow: bool, lines: int | None) -> None:
    """The log of a resource's latest run."""
    from studio import inspection
    from studio.cli import resource
    from studio.load.project import load_project
    from studio.workflow import places

    loaded = load_project(options.root_of(folder), environment)
    state = places.open_state(loaded)
    runs = state.runs()
    ref = resource.recorded(name, [*state.records(), *(run.ref for run in runs)], loaded)
    run = next((run for run in runs if run.ref == ref), None)
    if run is None:
        raise UsageError(f"{ref} has never run here", f"'studio show {ref}' says what is recorded")
    _print(places.backend(loaded, os.environ), inspection.handle_of(run), follow, lines)


def _print(backend: Backend, handle: Handle, follow: bool, last: int | None) -> None:
    printed = 0
    while True:
        running = follow and backend.poll(handle).state is JobState.RUNNING
        content = list(backend.logs(handle))
        if printed == 0 and last:
            printed = max(0, len(content) - last)
        for line in content[printed:]:
            click.echo(line, nl=False)
        printed = len(content)
        if not running:
            return
        time.sleep(0.5)
