"""``studio report``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from studio.cli import options
from studio.core.errors import UsageError

if TYPE_CHECKING:
    from studio.core.references import Ref

FOLDER = Path(".studio", "reports")
"""In the project: where pages go that nobody named a file for."""
STREAM = Path("-")


@click.command(epilog="Example: studio report EvaluationJob/router-vs-base --html --out comparison.html")
@click.argument("name", required=False, metavar="[[KIND/]NAME]")
@options.project
@options.variables
@click.option("--html", "as_html", is_flag=True, help="One HTML page that needs nothing else, instead of Markdown.")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE",
    help="Where to; - is standard output.  [default: there, and .studio/reports/ for HTML]",
)  # fmt: skip
def command(
    name: str | None, folder: Path, environment: str, given: dict[str, str], as_html: bool, out: Path | None
) -> None:
    """What a job, an evaluation or an export came to, with curves, samples and provenance; or the whole project.

    Reads state, manifests and what jobs left on this disk. What is gone is said, and the rest is shown. A file is
    replaced only if it is a report.
    """
    from studio.cli import resource
    from studio.load.project import load_project
    from studio.report import markdown_page
    from studio.report.html import writer
    from studio.workflow import places, reporting

    loaded = load_project(options.root_of(folder), environment, given)
    found = reporting.view(loaded, places.open_state(loaded), os.environ)
    ref = resource.recorded(name, found.standings, loaded) if name else None
    document = reporting.report(loaded, found, ref)
    content = writer.write(document) if as_html else markdown_page.write(document)
    place = out or (loaded.root / FOLDER / _file(ref) if as_html else STREAM)
    if place == STREAM:
        click.echo(content, nl=False)
        return
    if out is None:
        place.parent.mkdir(parents=True, exist_ok=True)
    _write(place, content)
    click.echo(f"{place}", err=False)


def _file(ref: Ref | None) -> str:
    return f"{ref.kind}-{ref.name}.html" if ref else "project.html"


def _write(place: Path, content: str) -> None:
    """All or nothing, and never over what is no report."""
    from studio.core.atomic import write_atomically
    from studio.report.html.markup import BEGINNING
    from studio.report.markdown_page import BEGINNING as MARKDOWN

    options.demand_folder(place, "--out")
    if place.is_dir():
        raise UsageError(f"{place} is a folder", "name a file with --out")
    if place.exists() or place.is_symlink():
        beginnings = (BEGINNING.encode(), MARKDOWN.encode())
        with place.open("rb") as stream:
            there = stream.read(max(map(len, beginnings)))
        if there and not there.startswith(beginnings):
            raise UsageError(f"{place} exists, and is no report", "name another file with --out, or remove that one")
    write_atomically(place, content.encode())
