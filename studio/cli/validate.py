"""``studio validate``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from studio.cli import options
from studio.cli.errors import Exit
from studio.core.errors import StudioError, UsageError
from studio.report.formats import FORMATS, Validation

if TYPE_CHECKING:
    from studio.workflow import Checked

STDOUT = Path("-")


@click.command(epilog="Example: studio validate --format sarif --output findings.sarif")
@options.project_everywhere
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
def command(
    folder: Path, environment: str | None, online: bool, as_json: bool, form: str | None, output: Path | None
) -> int:  # fmt: skip
    """Check every manifest against every rule: all findings at once, with file, line and column.

    Environments of studio.yaml are checked too: what only their settings and patches break is said to be theirs.
    Needs no network, no secrets and no ML library. Exit code 1 when there are errors.
    """
    from studio import workflow

    if as_json and form not in (None, "json"):
        raise UsageError(f"--json and --format {form} exclude each other", "leave one of them out")
    render = FORMATS["json" if as_json else form or "text"]
    phases = workflow.EVERYTHING if online else workflow.OFFLINE
    checked = workflow.validate(options.root_of(folder), environment, phases)
    report = _report(checked, environment)
    if output in (None, STDOUT):
        click.echo(render(report))
    elif output:
        _write(output, click.unstyle(render(report)))
        click.echo(FORMATS["text"](report))
    return Exit.FINDINGS if checked.errors else Exit.OK


def _report(checked: Checked, environment: str | None) -> Validation:
    from studio.load.repository import prefix_in_repository
    from studio.rules.base import catalogue

    loaded = checked.loaded
    resources = {ref: manifest.source.file for ref, manifest in loaded.manifests.items()}
    prefix = prefix_in_repository(loaded.root, os.environ)
    return Validation(loaded.root, environment or "all", checked.findings, resources, loaded.files, catalogue(), prefix)


def _write(file: Path, text: str) -> None:
    """Whole or not at all; a device or a pipe is written as it is."""
    from studio.core.atomic import write_atomically

    content = f"{text}\n".encode()
    target = file.resolve()
    try:
        if file.exists() and not file.is_file():
            file.write_bytes(content)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, content)
    except OSError as error:
        where = f"{error.filename}: " if error.filename and error.filename != str(target) else ""
        raise StudioError(f"{file} cannot be written: {where}{error.strerror}", "choose another --output") from error
