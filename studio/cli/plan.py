"""``studio plan``."""

from __future__ import annotations

from pathlib import Path

import click

from studio.cli import options
from studio.cli.errors import Exit


@click.command(epilog="Example: studio plan --json | jq '.actions[] | select(.action != \"none\")'")
@options.project
@options.online
@options.as_json
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when changes are pending.")
def command(folder: Path, environment: str, online: bool, as_json: bool, detailed_exitcode: bool) -> int:
    """Compare the manifests with what is recorded, and say what apply would do and why. Writes nothing."""
    from studio import workflow
    from studio.plan import to_json
    from studio.report import findings, plans

    phases = workflow.EVERYTHING if online else workflow.OFFLINE
    planned = workflow.plan(options.root_of(folder), environment, phases)
    if isinstance(planned, workflow.Checked):
        if as_json:
            options.echo_json(findings.to_json(planned.findings))
        else:
            click.echo(findings.to_text(planned.findings, planned.loaded.root), nl=False)
            click.echo("No plan: mend the errors above first.", err=True)
        return Exit.FINDINGS
    if as_json:
        options.echo_json(to_json(planned.plan))
    else:
        click.echo(findings.to_text(planned.checked.findings, planned.checked.loaded.root), nl=False)
        click.echo(plans.to_text(planned.plan, planned.desire, color=options.colored()))
        click.echo("".join(f"gate missed: {words}\n" for words in workflow.missed_gates(planned)), nl=False)
    return Exit.CHANGES if detailed_exitcode and planned.plan.pending else Exit.OK
