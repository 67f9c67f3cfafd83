"""``studio destroy``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from studio.cli import options
from studio.cli.errors import Exit


@click.command(epilog="Example: studio destroy --env pull-request-12 --yes")
@options.project
@options.target
@options.exclude
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--parallelism", default=4, show_default=True, type=click.IntRange(1, 1000), help="Jobs at the same time."
)
def command(
    folder: Path, environment: str, target: tuple[str, ...], exclude: tuple[str, ...], yes: bool,
    parallelism: int,
) -> int:  # fmt: skip
    """Delete everything that is recorded in an environment: show what goes, ask, and take it away, dependants first.

    What is protected stays, and what that needs. What another environment uses stays there. Runs in MLflow are history
    and stay; files that manifests name are never touched.
    """
    from studio.apply.manner import USUAL
    from studio.cli.apply import carry_out
    from studio.plan.selection import Selection
    from studio.report import plans
    from studio.workflow import destroying

    root = options.root_of(folder)
    planned = destroying.plan(root, environment, Selection(target, exclude))
    click.echo(plans.to_text(planned.plan, planned.desire, color=options.colored()))
    if not planned.plan.pending:
        return Exit.OK
    destroying.demand_idle(planned)
    count = len(planned.plan.pending)
    if not options.agreed(yes, f"\nDelete {count:,} of {planned.plan.recorded:,} recorded resources?"):
        click.echo("Nothing was deleted.")
        return Exit.FINDINGS
    here = replace(options.here(folder, environment), verb="destroy")
    return carry_out(planned, parallelism, USUAL, here, agreed=not yes)
