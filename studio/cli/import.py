"""``studio import``."""

from __future__ import annotations

from pathlib import Path

import click

from studio.cli import options
from studio.cli.errors import Exit


@click.command(epilog="Example: studio import FineTuningJob router adapters/ticket-router")
@click.argument("kind")
@click.argument("name")
@click.argument("id")
@options.project
@options.variables
def command(kind: str, name: str, id: str, folder: Path, environment: str, given: dict[str, str]) -> int:
    """Take over something that exists, so that apply does not make it again. A manifest must say what it is.

    ID is a uid for data kinds; for a FineTuningJob the folder of its adapter, inside the project; for a ModelExport
    the registered version, as MODEL/VERSION. Nothing is run, copied or changed but the record.
    """
    from studio.checking import Checked
    from studio.core.references import Ref
    from studio.report import findings
    from studio.report.plain import plain
    from studio.workflow import importing

    root = options.root_of(folder)
    summary = importing.bring_in(root, environment, Ref(kind, name), id, given)
    if isinstance(summary, Checked):
        click.echo(findings.to_text(summary.findings, root), nl=False)
        click.echo("Nothing was imported: mend the errors above first.", err=True)
        return Exit.FINDINGS
    for ref, words in summary.items():
        click.echo(f"{ref}: {plain(words)}")
    if not summary:
        click.echo("Nothing to do: it is recorded so already.")
    return Exit.OK
