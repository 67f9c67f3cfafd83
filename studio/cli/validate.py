"""``studio validate``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from studio.cli import options
from studio.cli.errors import Exit
from studio.core.errors import StudioError, UsageError
from studio.core.findings import EVERYTHING, OFFLINE
from studio.report.formats import FORMATS, Validation

if TYPE_CHECKING:
    from studio.load.verdicts import Verdict

STDOUT = Path("-")


@click.command(epilog="Example: studio validate --format sarif --output findings.sarif")
@options.keeping_garbage
@options.project_everywhere
@options.variables
@options.online
@options.as_json
@click.option(
    "--format", "form", type=click.Choice(list(FORMATS)), help="Output format; --json is json.  [default: text]"
)
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write into this file instead; standard output shows the text.",
)
@options.no_cache
def command(
    folder: Path, environment: str | None, given: dict[str, str], online: bool, as_json: bool, form: str | None,
    output: Path | None, no_cache: bool,
) -> int:  # fmt: skip
    """Check every manifest against every rule: all findings at once, with file, line and column.

    Environments of studio.yaml are checked too: what only their settings and patches break is said to be theirs.
    Needs no network, no secrets and no ML library. Exit code 1 when there are errors.
    """
    if as_json and form not in (None, "json"):
        raise UsageError(f"--json and --format {form} exclude each other", "leave one of them out")
    if output and output != STDOUT:
        options.demand_folder(output, "--output")
    render = FORMATS["json" if as_json else form or "text"]
    root = options.root_of(folder)
    verdict = _verdict(root, environment, given, no_cache=no_cache, online=online)
    report = Validation(root, environment or "all", verdict.findings, verdict.resources, verdict.files, _prefix(root))
    if output in (None, STDOUT):
        click.echo(render(report))
    elif output:
        _write(output, click.unstyle(render(report)))
        click.echo(FORMATS["text"](report))
    return Exit.FINDINGS if verdict.errors else Exit.OK


def _verdict(root: Path, environment: str | None, given: dict[str, str], *, online: bool, no_cache: bool) -> Verdict:
    """What was found the last time, when nothing has changed since; the engine is loaded only when something has."""
    from studio.load import verdicts

    cached = not (online or no_cache or given)  # what the hub answers has no witness
    shelf = verdicts.shelf(root, environment, os.environ) if cached else None
    known = shelf.recall() if shelf else None
    if known:
        return known
    from studio.checking import validate
    from studio.load.answers import anew
    from studio.load.recollection import remembering
    from studio.load.witness import watching

    memory = anew() if no_cache else remembering(root, os.environ)
    with memory, watching() as witness:
        checked = validate(root, environment, EVERYTHING if online else OFFLINE, given)
        if shelf:
            shelf.keep(checked.verdict, witness)
    return checked.verdict


def _prefix(root: Path) -> str:
    from studio.load.repository import prefix_in_repository

    return prefix_in_repository(root, os.environ)


def _write(file: Path, text: str) -> None:
    """Whole or not at all; a device or a pipe is written as it is."""
    from studio.core.atomic import write_atomically

    content = f"{text}\n".encode()
    target = file.resolve()
    try:
        if file.exists() and not file.is_file():
            file.write_bytes(content)
            return
        write_atomically(target, content)
    except OSError as error:
        where = f"{error.filename}: " if error.filename and error.filename != str(target) else ""
        raise StudioError(f"{file} cannot be written: {where}{error.strerror}", "choose another --output") from error
