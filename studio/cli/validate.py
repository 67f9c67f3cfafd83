"""``studio validate``."""

from __future__ import annotations

from pathlib import Path

import click

from studio.cli import options
from studio.cli.errors import Exit


@click.command(epilog="Example: studio validate --online")
@options.project
@options.online
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Output format."
)
def command(folder: Path, environment: str, online: bool, form: str) -> int:
    """Check every manifest against every rule: all findings at once, with file, line and column.

    Needs no network, no secrets and no ML library. Exit code 1 when there are errors.
    """
    from studio import workflow
    from studio.report import findings

    checked = workflow.validate(
        options.root_of(folder), environment, workflow.EVERYTHING if online else workflow.OFFLINE
    )
    if form == "json":
        options.echo_json(findings.to_json(checked.findings))
    else:
        text = findings.to_text(checked.findings, checked.loaded.root)
        click.echo(text + findings.summary(checked.findings, len(checked.loaded.manifests), checked.loaded.files))
    return Exit.FINDINGS if checked.errors else Exit.OK
