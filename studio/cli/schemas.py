"""``studio schemas``."""

from __future__ import annotations

from pathlib import Path

import click

from studio.core.errors import StudioError, UsageError


@click.command(epilog="Example: studio schemas manifest Project --output schemas")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--output",
    "-o",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Write the schemas into this folder; all of them when none is named.",
)
def command(names: tuple[str, ...], output: Path | None) -> None:
    """JSON Schemas of manifests and of studio.yaml, for editors and other tools.

    Without arguments: what there is. One name alone: that schema. The schema 'manifest' fits files of every kind. After
    an upgrade of studio, write those of your project anew: studio schemas manifest Project --output schemas
    """
    from studio.core.suggest import did_you_mean
    from studio.report.published import published
    from studio.report.schemas import schema_text

    known = {file.removesuffix(".schema.json"): schema for file, schema in published().items()}
    folded = {name.lower(): name for name in known}
    for name in names:
        if name.lower() not in folded:
            raise UsageError(f"there is no schema {name!r}", did_you_mean(name, known))
    wanted = {folded[name.lower()]: schema_text(known[folded[name.lower()]]) for name in names or folded}
    if output:
        for name, text in wanted.items():
            click.echo(f"written  {_write(output / f'{name}.schema.json', text)}")
    elif len(names) == 1:
        click.echo("".join(wanted.values()), nl=False)
    elif names:
        raise UsageError("several schemas do not fit on one output", "name one, or add --output FOLDER")
    else:
        width = max(map(len, known))
        for name, schema in known.items():
            click.echo(f"{name:{width}}  {schema.get('description', '').partition(chr(10))[0]}".rstrip())


def _write(file: Path, text: str) -> Path:
    from studio.core.atomic import write_atomically

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        return write_atomically(file, text.encode())
    except OSError as error:
        message = f"{file} cannot be written: {error.strerror}"
        raise StudioError(message, "choose another --output") from error
