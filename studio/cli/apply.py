"""``studio apply``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from studio.cli import options
from studio.cli.errors import Exit
from studio.core.errors import StalePlanError, UsageError
from studio.core.findings import EVERYTHING, OFFLINE

if TYPE_CHECKING:
    from studio.apply.manner import Manner
    from studio.checking import Checked
    from studio.plan.actions import Refreshed
    from studio.plan.selection import Selection
    from studio.report.advice import Here
    from studio.workflow.planning import Planned


LACKING = "this machine lacks what jobs need, see above; mend that, or choose others with --target or --exclude."


@click.command(epilog="Example: studio apply --yes --parallelism 2")
@click.argument("plan_file", metavar="[PLAN]", required=False, type=click.Path(dir_okay=False, path_type=Path))
@options.project
@options.variables
@options.selection
@click.option("--force", is_flag=True, help="Also when much of what is recorded would be deleted or replaced.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask; without a terminal nothing is asked anyway.")
@click.option(
    "--online/--offline",
    default=True,
    help="Check names on the Hugging Face Hub and in the CML registry first, or ask nobody.  [default: online]",
)
@options.refresh
@click.option(
    "--parallelism", default=4, show_default=True, type=click.IntRange(1, 1000), help="Jobs at the same time."
)
@click.option(
    "--keep-going/--fail-fast",
    default=True,
    help="After a failure, go on with what does not depend on it, or start nothing new.  [default: keep going]",
)
@click.option("--detach", is_flag=True, help="Start what can start now, and leave; the next apply goes on.")
@options.no_cache
@click.pass_context
def command(
    context: click.Context, plan_file: Path | None, folder: Path, environment: str, given: dict[str, str], yes: bool,
    online: bool, refresh: bool, parallelism: int, keep_going: bool, detach: bool, no_cache: bool,
    selection: Selection, force: bool,
) -> int:  # fmt: skip
    """Make what the manifests say: register resources, run the jobs whose outcome is not there yet.

    With PLAN, a file of 'studio plan --out', it does exactly that without asking, or refuses with exit code 4.
    A job that fails holds up only what depends on it.
    Ctrl-C stops waiting, not training: the next apply attaches again.
    """
    from studio.apply.manner import Manner
    from studio.checking import Checked
    from studio.load.answers import anew
    from studio.plan.saved import demand_same, read
    from studio.report import findings, plans
    from studio.report.drifts import left_alone
    from studio.workflow import applying, planning

    saved, refreshed = read(plan_file) if plan_file else None, options.refreshed(refresh, online)
    if saved:
        environment, selection = _environment(saved, context), _selection(saved, selection)
        given = _variables(saved, given)
        refreshed = _refreshed(saved, refresh, online)
    root = options.root_of(folder)
    with _told_as_stale() if saved else nullcontext(), anew() if no_cache else nullcontext():
        phases = EVERYTHING if online else OFFLINE
        planned = planning.plan(root, environment, phases, given=given, selection=selection, refresh=refreshed)
    if isinstance(planned, Checked):
        return _faulty(planned, root)
    options.warn(planned)
    if saved:
        demand_same(saved, planned.plan)
    click.echo(findings.to_text(planned.checked.findings, root), nl=False)
    click.echo(plans.to_text(planned.plan, planned.desire, color=options.colored()))
    click.echo(left_alone(planned.drifts), nl=False)
    if not planned.plan.pending and not planned.plan.left:
        return _nothing_to_do(planned)
    applying.demand_safe(planned.plan, force=force)
    if planned.plan.lacking:
        click.echo(f"Nothing was applied: {LACKING}", err=True)
        return Exit.FINDINGS
    asked = planned.plan.pending and not (yes or saved) and sys.stdin.isatty() and sys.stdout.isatty()
    if asked and not click.confirm("\nApply this plan?"):
        click.echo("Nothing was applied.")
        return Exit.FINDINGS
    manner = Manner(fail_fast=not keep_going, detach=detach, force=force)
    return carry_out(
        planned, parallelism, manner, options.here(folder, environment, given), agreed=bool(asked or saved)
    )


def _faulty(checked: Checked, root: Path) -> int:
    from studio.report import findings

    click.echo(findings.to_text(checked.findings, root), nl=False)
    click.echo("Nothing was applied: mend the errors above first.", err=True)
    return Exit.FINDINGS


@contextmanager
def _told_as_stale() -> Iterator[None]:
    """What a saved plan is about may be gone: then the plan is stale, and nothing is wrong with the command line."""
    from studio.load.variables import VariableError
    from studio.plan.saved import AGAIN
    from studio.plan.selection import SelectionError

    try:
        yield
    except (SelectionError, VariableError) as error:
        raise StalePlanError(f"the plan is stale: {error.message}; nothing was applied", AGAIN) from error


def _selection(saved: dict[str, Any], given: Selection) -> Selection:
    """What the saved plan is about; the command line may not say otherwise."""
    from studio.plan.saved import selection
    from studio.plan.selection import WHOLE

    if given != WHOLE:
        hint = "leave --target, --exclude, --replace, --prune and --forget out, or make another plan with them"
        raise UsageError("a saved plan says itself what it is about", hint)
    return selection(saved)


def _variables(saved: dict[str, Any], given: dict[str, str]) -> dict[str, str]:
    """What --var set when the plan was made; the command line may not set anything else."""
    from studio.plan.saved import variables

    if given:
        hint = "leave --var out, or make another plan with it"
        raise UsageError("a saved plan says itself what its variables are set to", hint)
    return variables(saved)


def _refreshed(saved: dict[str, Any], refresh: bool, online: bool) -> Refreshed:
    """What is looked at: what the saved plan looked at; the command line may not say otherwise."""
    from studio.plan.actions import Refreshed
    from studio.plan.saved import refreshed

    found = refreshed(saved)
    if refresh and found is Refreshed.NOT:
        raise UsageError("the plan was saved without --refresh", "leave it out, or make another plan with it")
    if found is Refreshed.ONLINE and not online:
        raise UsageError("the plan was saved with --refresh --online", "leave --offline out, or make another plan")
    return found


def _environment(saved: dict[str, Any], context: click.Context) -> str:
    """The saved plan's environment; --env may only say the same."""
    given = context.params["environment"]
    if context.get_parameter_source("environment") is not ParameterSource.DEFAULT and given != saved["environment"]:
        message = f"the plan is for environment {saved['environment']!r}, not {given!r}; nothing was applied"
        raise StalePlanError(message, "leave --env out, or make a plan for that environment")
    return str(saved["environment"])


def _nothing_to_do(planned: Planned) -> int:
    from studio.workflow import planning

    missed = planning.missed_gates(planned)
    click.echo("".join(f"gate missed: {words}\n" for words in missed), nl=False)
    return Exit.FINDINGS if missed else Exit.OK


def carry_out(planned: Planned, parallelism: int, manner: Manner, here: Here, *, agreed: bool) -> int:
    """Apply a plan and show how it goes; the exit code."""
    from studio.cli.interrupts import Interrupts
    from studio.cli.progress import Display
    from studio.report import costs, outcomes
    from studio.workflow import applying

    click.echo()
    with (
        Display(sys.stdout.isatty()) as display,
        Interrupts(lambda: outcomes.abandoned(display.running, here)),
    ):
        try:
            applied = applying.apply(planned, display, parallelism, agreed=agreed, manner=manner)
        except KeyboardInterrupt:
            display.close()
            click.echo(outcomes.interrupted(display.running, here), err=True)
            return Exit.INTERRUPTED
    click.echo(outcomes.summary(applied.outcomes.values(), here))
    if words := costs.spent(applied.account):
        click.echo(words)
    click.echo(outcomes.settled(applied.settled, here), nl=False)
    if applied.running or applied.waiting:
        click.echo(outcomes.detached(applied.running, applied.waiting, here))
    return Exit.FINDINGS if applied.failed else Exit.OK
