"""``studio cancel``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from studio.cli import options
from studio.cli.errors import Exit
from studio.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from studio.load.project import Loaded
    from studio.report.advice import Here
    from studio.state.base import Run, StateReader
    from studio.workflow.cancelling import Cancellation


@click.command(epilog="Example: studio cancel FineTuningJob/router")
@click.argument("name", required=False, metavar="[KIND/]NAME")
@options.project
@click.option("--all", "everything", is_flag=True, help="Every job of the environment that runs.")
@click.option("--no-wait", is_flag=True, help="Ask the jobs to stop, and do not wait until they have.")
def command(name: str | None, folder: Path, environment: str, everything: bool, no_wait: bool) -> int:
    """Stop a resource's job, also one of an earlier version of it, or those of a sweep. What is recorded stays.

    The next apply starts it again, a training from its latest checkpoint. It is no error when nothing runs.
    """
    from studio.load.project import load_project
    from studio.workflow import cancelling, places

    if everything == (name is not None):
        hint = "studio cancel Kind/name, or --all; 'studio status' lists what runs"
        raise UsageError("name one resource or say --all, not both" if everything else "which job?", hint)
    loaded = load_project(options.root_of(folder), environment)
    state = places.open_state(loaded)
    runs = _chosen(name, state, loaded)
    if not runs:
        click.echo(f"Nothing of {name} is running." if name else "Nothing is running.")
        return Exit.OK
    backend = places.backend(loaded, os.environ)
    again = cancelling.to_start_again(runs, state.records())
    found = cancelling.cancel(runs, backend, _tell, wait=not no_wait)
    elsewhere = cancelling.record(loaded, found)
    return _report(found, elsewhere, again, options.here(folder, environment))


def _chosen(name: str | None, state: StateReader, loaded: Loaded) -> list[Run]:
    """The runs under way of one resource and, where it is a sweep, of its trials; or all."""
    from studio import inspection
    from studio.cli import resource

    active = state.active()
    if name is None:
        return active
    known = [*loaded.manifests, *state.records(), *(run.ref for run in state.runs())]
    ref = resource.find(name, known, "declared or recorded")
    meant = {ref, *(each.ref for each in inspection.trials(ref, loaded.resources))}
    return [run for run in active if run.ref in meant]


def _tell(run: Run) -> None:
    click.echo(f"  {run.ref}: stopping {run.key}")


def _report(found: list[Cancellation], elsewhere: str, again: Mapping[str, tuple[str, ...]], here: Here) -> int:
    from studio.report.plain import plain
    from studio.workflow.cancelling import Stage

    stages = {each.stage for each in found}
    for each in found:
        words = f": {plain(each.words)}" if each.words else ""
        click.echo(f"{each.run.ref}: {each.stage.value}{words}")
    if elsewhere:
        click.echo(f"  {elsewhere}")
    ways = (here.command("apply", *again[each.run.key]) for each in found if each.stage in (Stage.STOPPED, Stage.ASKED))
    for way in dict.fromkeys(ways):
        click.echo(f"  to start again: {way}")
    if Stage.OVER in stages:
        click.echo(f"  to record what ended by itself: {here.command('apply')}")
    if Stage.ASKED in stages:
        click.echo(f"  to see when it has stopped: {here.command('status', '--watch')}")
    return Exit.FINDINGS if stages & {Stage.STUCK, Stage.UNKNOWN} else Exit.OK
