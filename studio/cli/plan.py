"""``studio plan``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from studio.cli import options
from studio.cli.errors import Exit
from studio.core.errors import UsageError
from studio.core.findings import EVERYTHING, OFFLINE

if TYPE_CHECKING:
    from studio.checking import Checked
    from studio.plan.selection import Selection
    from studio.workflow.planning import Planned


@click.command(epilog="Example: studio plan --json | jq '.actions[] | select(.action != \"none\")'")
@options.keeping_garbage
@options.project
@options.variables
@options.selection
@options.online
@options.refresh
@options.as_json
@click.option("--markdown", is_flag=True, help="Print Markdown for a pull request, at most 65,000 characters.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Save the plan; 'studio apply FILE' does exactly that or refuses.",
)
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when changes are pending.")
@options.no_cache
def command(
    folder: Path, environment: str, given: dict[str, str], online: bool, refresh: bool, as_json: bool,
    markdown: bool, out: Path | None, detailed_exitcode: bool, no_cache: bool, selection: Selection,
) -> int:  # fmt: skip
    """Compare the manifests with what is recorded, and say what apply would do and why. Changes nothing."""
    from studio.checking import Checked
    from studio.load import verdicts
    from studio.load.answers import anew
    from studio.load.recollection import remembering
    from studio.workflow import planning

    if as_json and markdown:
        raise UsageError("--json and --markdown exclude each other", "run the command twice, or use --out for the JSON")
    if out:
        options.demand_folder(out, "--out")
    root, phases = options.root_of(folder), EVERYTHING if online else OFFLINE
    shelf = None if online or no_cache or given else verdicts.shelf(root, environment, os.environ)
    with anew() if no_cache else remembering(root, os.environ):
        planned = planning.plan(
            root, environment, phases, shelf, given, selection, refresh=options.refreshed(refresh, online)
        )
    if isinstance(planned, Checked):
        _refuse(planned, as_json, markdown)
        return Exit.FINDINGS
    options.warn(planned)
    if out:
        _save(planned, out)
    _show(planned, as_json, markdown)
    return Exit.CHANGES if detailed_exitcode and planned.plan.pending else Exit.OK


def _refuse(checked: Checked, as_json: bool, markdown: bool) -> None:
    from studio.report import findings
    from studio.report.markdown import findings_to_markdown

    if as_json:
        options.echo_json(findings.to_json(checked.findings))
    elif markdown:
        click.echo(findings_to_markdown(checked.findings), nl=False)
    else:
        click.echo(findings.to_text(checked.findings, checked.loaded.root), nl=False)
        click.echo("No plan: mend the errors above first.", err=True)


def _save(planned: Planned, out: Path) -> None:
    from studio.core.atomic import write_atomically
    from studio.plan import saved as saved_plan

    write_atomically(out, saved_plan.text(planned.plan).encode())
    click.echo(f"The plan is saved. To do exactly that: studio apply {out}", err=True)


def _show(planned: Planned, as_json: bool, markdown: bool) -> None:
    from studio.plan.actions import to_json
    from studio.report import findings, plans
    from studio.report.drifts import left_alone
    from studio.report.markdown import plan_to_markdown
    from studio.workflow import planning

    checked, missed = planned.checked, planning.missed_gates(planned)
    if as_json:
        options.echo_json(to_json(planned.plan))
    elif markdown:
        click.echo(plan_to_markdown(planned.plan, checked.findings, missed), nl=False)
    else:
        click.echo(findings.to_text(checked.findings, checked.loaded.root), nl=False)
        click.echo(plans.to_text(planned.plan, planned.desire, color=options.colored()))
        click.echo(left_alone(planned.drifts), nl=False)
        click.echo("".join(f"gate missed: {words}\n" for words in missed), nl=False)
