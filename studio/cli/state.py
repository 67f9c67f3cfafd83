"""``studio state``: records as they are stored, and edits by hand."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from studio.cli import options
from studio.cli.errors import Exit
from studio.cli.groups import Group
from studio.core.errors import UsageError

if TYPE_CHECKING:
    from studio.core.references import Ref
    from studio.state.base import Record


@click.group(cls=Group, epilog="Example: studio state list --env prod")
def command() -> None:
    """Look at records and edit them by hand. Each edit holds the lock and is noted; 'studio history' shows it.

    Nothing here touches what a record stands for: no file, no run, no registered model.
    """


@command.command("list", epilog="Example: studio state list --json | jq -r '.[].uid'")
@options.project
@options.as_json
def list_records(folder: Path, environment: str, as_json: bool) -> None:
    """What is recorded, one line each: resource, status, uid, last change."""
    from studio.report import records

    found = [*_records(folder, environment).values()]
    if as_json:
        options.echo_json(records.to_json(found))
    else:
        click.echo(records.to_text(found))


@command.command(epilog="Example: studio state show FineTuningJob/router | jq .fingerprint")
@click.argument("name", metavar="KIND/NAME")
@options.project
def show(name: str, folder: Path, environment: str) -> None:
    """One record as JSON, with everything that is stored."""
    from studio.cli import resource
    from studio.report import records

    found = _records(folder, environment)
    options.echo_json(records.whole(found[resource.find(name, found, "recorded")]))


@command.command(epilog="Example: studio state mv Dataset/tickets Dataset/support-tickets")
@click.argument("old", metavar="KIND/OLD")
@click.argument("new", metavar="KIND/NEW")
@options.project
def mv(old: str, new: str, folder: Path, environment: str) -> None:
    """Let a record go by another name.

    It keeps its uid, its runs and its outcome; records that name it name the new one. Rename the resource in the
    manifests too, and plan finds nothing to do.
    """
    from studio.load.project import load_settings
    from studio.workflow import editing

    before, after = _ref(old), _ref(new)
    editing.demand_recorded(before, _records(folder, environment))
    loaded = load_settings(options.root_of(folder), environment)
    summary = editing.edit(loaded, "state mv", lambda state: editing.move(state, before, after))
    _tell(summary)


@command.command(epilog="Example: studio state rm Dataset/tickets Prompt/route --yes")
@click.argument("names", metavar="KIND/NAME...", nargs=-1, required=True)
@options.project
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Also what is protected, or has a job under way.")
def rm(names: tuple[str, ...], folder: Path, environment: str, yes: bool, force: bool) -> int:
    """Forget resources: their records go, the things stay.

    The next plan creates what a manifest still describes.
    """
    from studio.load.project import load_settings
    from studio.state.moves import users
    from studio.workflow import editing

    refs = [*dict.fromkeys(map(_ref, names))]
    records = _records(folder, environment)
    loaded = load_settings(options.root_of(folder), environment)
    for ref in refs:
        editing.demand_recorded(ref, records)
        named = [user for user in users(records.values(), ref) if user not in refs]
        if named:
            click.echo(f"{ref} is still named by {', '.join(map(str, named))}", err=True)
    if not options.agreed(yes, f"Forget {', '.join(map(str, refs))}?"):
        click.echo("Nothing was changed.")
        return Exit.FINDINGS
    _tell(editing.edit(loaded, "state rm", lambda state: editing.forget(state, refs, force=force)))
    return Exit.OK


@command.command(epilog="Example: studio state unlock --env prod")
@options.project
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def unlock(folder: Path, environment: str, yes: bool) -> int:
    """Take the lock away from a process that will not give it back.

    Shows who holds it first. Whoever that is can write no more, even if it is alive after all; its jobs go on, and the
    next apply attaches to them. The lock of a dead process expires by itself within a minute.
    """
    from studio.load.project import load_settings
    from studio.report.plain import plain
    from studio.workflow import editing, places

    loaded = load_settings(options.root_of(folder), environment)
    seen = places.open_state(loaded).lease()
    if seen is None:
        click.echo(f"Environment {environment!r} is not locked.")
        return Exit.OK
    silent = max(0, round(places.lease_seconds(os.environ) - seen.left))
    click.echo(f"Environment {environment!r} is locked by {plain(seen.holder)}.")
    click.echo(f"  Its last sign of life was {silent} s ago; without another the lock expires in {seen.left:.0f} s.")
    if not options.agreed(yes, "Take the lock away?"):
        click.echo("Nothing was changed.")
        return Exit.FINDINGS
    if not editing.unlock(loaded, seen):
        click.echo("Nothing was changed: the lock was given back or passed on in the meantime.", err=True)
        return Exit.FINDINGS
    click.echo("Unlocked.")
    return Exit.OK


@command.command(epilog="Example: studio state export --out state.json")
@options.project
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write a file instead of printing."
)
def export(folder: Path, environment: str, out: Path | None) -> None:
    """Everything recorded, as JSON that the old studio imports too."""
    from studio.core.atomic import write_atomically
    from studio.load.project import load_settings
    from studio.workflow import transferring

    if out:
        options.demand_folder(out, "--out")
    text = transferring.export(load_settings(options.root_of(folder), environment))
    if out:
        write_atomically(out, text.encode())
    else:
        click.echo(text, nl=False)


@command.command("import", epilog="Example: studio state import state.json --dry-run")
@click.argument("file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@options.project
@options.as_json
@click.option("--dry-run", is_flag=True, help="Say what would happen, and write nothing.")
@click.option(
    "--manifests",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Also write a manifest for each record that has none, and take over what is there.",
)
def import_records(
    file: Path, folder: Path, environment: str, as_json: bool, dry_run: bool, manifests: Path | None
) -> int:  # fmt: skip
    """Records from an export, of this studio or of the old one.

    What is recorded here already stays as it is. A row that cannot be imported is listed with the reason, the others
    are imported all the same, all at once; the exit code is then 1.
    """
    from studio.load.project import load_settings
    from studio.report import transfers
    from studio.workflow import moving_in, transferring

    tables, root = transferring.read_tables(file), options.root_of(folder)
    loaded = load_settings(root, environment)
    into = moving_in.demand_folder(loaded, manifests) if manifests else None
    transfer = transferring.preview(loaded, tables)
    if transfer.records and not dry_run:
        transfer = transferring.bring_in(loaded, tables)
    move = None
    if into and not dry_run:
        refs = [*(record.ref for record in transfer.records), *transfer.there]
        move = moving_in.move_in(root, environment, refs, into)
    if as_json:
        options.echo_json(transfers.to_json(transfer, move))
    else:
        click.echo(transfers.to_text(transfer, move, dry=dry_run))
    return Exit.FINDINGS if transfer.faults or (move and (move.errors or move.failed)) else Exit.OK


def _records(folder: Path, environment: str) -> dict[Ref, Record]:
    """What is recorded; an edit looks first, so that a state that is not there yet is not made by looking."""
    from studio.load.project import load_settings
    from studio.workflow import places

    return dict(places.open_state(load_settings(options.root_of(folder), environment)).records())


def _ref(text: str) -> Ref:
    """A resource written out: what is edited by hand is not guessed."""
    from studio.core.references import Ref

    try:
        return Ref.parse(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is not of the form Kind/name", "'studio state list' shows the names") from error


def _tell(summary: dict[str, str]) -> None:
    from studio.report.plain import plain

    for name, words in summary.items():
        click.echo(f"{plain(name)}: {plain(words)}")
