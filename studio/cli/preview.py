"""``studio preview``."""

from __future__ import annotations

from pathlib import Path

import click

from studio.cli import options


@click.command(epilog="Example: studio preview FineTuningJob/router --rows 5")
@click.argument("name", metavar="[KIND/]NAME")
@options.project
@options.variables
@options.as_json
@click.option(
    "--rows", type=click.IntRange(0, 1000), default=3, show_default=True, metavar="N", help="Random rows to show."
)
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Draws the random rows.")
@click.option("--model", default="", metavar="NAME", help="Model whose tokenizer counts.  [default: that of the job]")
def command(
    name: str, folder: Path, environment: str, given: dict[str, str], as_json: bool, rows: int, seed: int, model: str
) -> None:  # fmt: skip
    """What training will see: the first row, the longest and random ones, rendered through a Prompt.

    Counts tokens with the model's own tokenizer, and what max_length would cut. For a FineTuningJob also how many rows
    train, how many are held out, and how many steps that takes. Opens no socket, and needs no ML library.
    """
    from studio import checking
    from studio.cli import resource
    from studio.load.project import load_project
    from studio.preview import Ask, preview, subjects
    from studio.report import previews

    view = checking.view(load_project(options.root_of(folder), environment, given))
    ref = resource.find(name, subjects(view), "to preview")
    found = preview(view, ref, Ask(rows, seed, model))
    if as_json:
        options.echo_json(previews.to_json(found))
    else:
        click.echo(previews.to_text(found, color=options.colored()))
