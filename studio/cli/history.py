"""``studio history``."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from studio.cli import options

if TYPE_CHECKING:
    from studio.core.references import Ref
    from studio.state.base import Operation


@click.command(epilog="Example: studio history -n 5 --resource FineTuningJob/router")
@options.project
@options.as_json
@click.option(
    "-n", "--last", "limit", default=20, show_default=True, type=click.IntRange(1), metavar="N", help="Newest N only."
)
@click.option("--resource", "name", metavar="[KIND/]NAME", help="What changed this resource, and its runs.")
def command(folder: Path, environment: str, as_json: bool, limit: int, name: str | None) -> None:
    """Who changed state: when, with which command, from which commit, with which plan, and what came of it."""
    from studio import inspection
    from studio.cli import resource
    from studio.load.project import load_settings
    from studio.report import history
    from studio.workflow import places

    state = places.open_state(load_settings(options.root_of(folder), environment))
    operations = state.operations(sys.maxsize if name else limit)
    entries, runs, ref = [history.Entry(each) for each in operations], [], None
    if name:
        ref = resource.find(
            name, [*state.records(), *(run.ref for run in state.runs()), *_told(operations)], "recorded"
        )
        entries = list(islice(history.of(operations, ref), limit))
        runs = state.runs(ref)[:limit]
    at_work = inspection.at_work(state, [each.operation for each in entries])
    if as_json:
        options.echo_json(history.to_json([each.operation for each in entries], at_work, runs))
        return
    click.echo(history.to_text(entries, at_work, ref))
    if runs:
        click.echo(f"\nRuns of {ref}:\n{history.runs_to_text(runs)}")


def _told(operations: list[Operation]) -> list[Ref]:
    """Resources that operations name; what was forgotten has a history too."""
    from studio.core.references import Ref

    return [Ref.parse(name) for each in operations for name in each.summary if "/" in name]
