"""``studio apply``."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import click

from studio.cli import options
from studio.cli.errors import Exit


@click.command(epilog="Example: studio apply --yes --parallelism 2")
@options.project
@click.option("-y", "--yes", is_flag=True, help="Do not ask; without a terminal nothing is asked anyway.")
@click.option("--online/--offline", default=False, help="Also check names on the Hugging Face Hub first.")
@click.option(
    "--parallelism", default=4, show_default=True, type=click.IntRange(1, 1000), help="Jobs at the same time."
)
def command(folder: Path, environment: str, yes: bool, online: bool, parallelism: int) -> int:
    """Make what the manifests say: register resources, run the jobs whose outcome is not there yet.

    Ctrl-C stops waiting, not training: the next apply attaches again.
    """
    from studio import workflow
    from studio.cli.progress import Display
    from studio.report import findings, outcomes, plans

    root = options.root_of(folder)
    planned = workflow.plan(root, environment, workflow.EVERYTHING if online else workflow.OFFLINE)
    if isinstance(planned, workflow.Checked):
        click.echo(findings.to_text(planned.findings, root), nl=False)
        click.echo("Nothing was applied: mend the errors above first.", err=True)
        return Exit.FINDINGS
    click.echo(findings.to_text(planned.checked.findings, root), nl=False)
    click.echo(plans.to_text(planned.plan, planned.desire, color=options.colored()))
    if not planned.plan.pending:
        missed = workflow.missed_gates(planned)
        click.echo("".join(f"gate missed: {words}\n" for words in missed), nl=False)
        return Exit.FINDINGS if missed else Exit.OK
    if not yes and sys.stdin.isatty() and sys.stdout.isatty() and not click.confirm("\nApply this plan?"):
        click.echo("Nothing was applied.")
        return Exit.FINDINGS
    click.echo()
    with Display(sys.stdout.isatty()) as display:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # what CI sends: stop waiting, leave jobs running
        try:
            applied = workflow.apply(planned, display, parallelism)
        except KeyboardInterrupt:
            display.close()
            click.echo(outcomes.interrupted(display.running), err=True)
            return Exit.INTERRUPTED
    click.echo(outcomes.summary(applied.outcomes.values()))
    return Exit.FINDINGS if applied.failed else Exit.OK
