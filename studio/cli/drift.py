"""``studio drift``."""

from __future__ import annotations

from pathlib import Path

import click

from studio.cli import options
from studio.cli.errors import Exit


@click.command(epilog="Example: studio drift --json | jq '.drifts[] | select(.ignored == null)'")
@options.project
@click.option("--online", is_flag=True, help="Also ask the Hugging Face Hub where its revisions point now.")
@options.as_json
@click.option("--ignored", is_flag=True, help="Also show what may differ, and why.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when something drifted.")
def command(folder: Path, environment: str, online: bool, as_json: bool, ignored: bool, detailed_exitcode: bool) -> int:
    """Compare what is recorded with what is there: files, MLflow, running jobs. Changes nothing.

    Each difference comes with what apply does about it; 'studio plan --refresh' plans just that. What could not be
    looked at, such as a server that does not answer, is a warning and never a difference.
    """
    from studio.report import drifts
    from studio.workflow import refreshing

    found = refreshing.drift(options.root_of(folder), environment, online=online)
    click.echo(drifts.warnings(found.unseen), err=True, nl=False)
    if as_json:
        options.echo_json(drifts.to_json(found))
    else:
        click.echo(drifts.to_text(found, ignored=ignored, color=options.colored()))
    return Exit.CHANGES if detailed_exitcode and found.counted else Exit.OK
