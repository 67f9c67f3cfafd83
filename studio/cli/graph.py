"""``studio graph``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from studio.cli import options
from studio.core.references import Ref

if TYPE_CHECKING:
    from studio.report.graphs import Picture

FORMATS = ("tree", "dot", "mermaid", "json")


@click.command(epilog="Example: studio graph ModelExport/router-release --upstream")
@click.argument("name", required=False, metavar="[[KIND/]NAME]")
@options.project
@options.variables
@click.option("--format", "form", type=click.Choice(FORMATS), default="tree", show_default=True, help="Output format.")
@click.option("--upstream/--downstream", "upstream", default=None, help="Only what is needed, or only what is fed.")
def command(
    name: str | None, folder: Path, environment: str, given: dict[str, str], form: str, upstream: bool | None
) -> None:
    """What feeds what: everything, or what one resource needs and what it feeds.

    Adapters that jobs produce are shown too, and references that lead nowhere. Manifests that cannot be read are left
    out; 'studio validate' says what is wrong with them.
    """
    from studio.cli import resource
    from studio.graph import build
    from studio.load.project import load_project
    from studio.report import graphs
    from studio.report.findings import plural

    loaded = load_project(options.root_of(folder), environment, given)
    resources = {ref: manifest.resource for ref, manifest in loaded.manifests.items()}
    defaults = {ref: manifest.resource for ref, manifest in loaded.defaults.items()}
    drawn = graphs.picture(build(resources, defaults), resources)
    if loaded.problems:
        found = plural(len(loaded.problems), "problem")
        click.echo(f"The graph may lack something: {found} in the files; 'studio validate' shows them.", err=True)
    focus = resource.find(name, drawn.nodes, "in the manifests") if name else None
    if focus:
        drawn = drawn.around(focus, upstream=upstream is not False, downstream=upstream is not True)
    if form == "json":
        options.echo_json(graphs.to_json(drawn))
    elif form == "dot":
        click.echo(graphs.to_dot(drawn))
    elif form == "mermaid":
        click.echo(graphs.to_mermaid(drawn))
        if len(drawn.edges) > graphs.MERMAID_EDGES:
            most = f"{graphs.MERMAID_EDGES} edges; name a resource, or use --format dot"
            click.echo(f"GitHub draws no graph of more than {most}.", err=True)
    else:
        click.echo("\n\n".join(_trees(drawn, focus, upstream)))


def _trees(drawn: Picture, focus: Ref | None, upstream: bool | None) -> list[str]:
    """The tree that was asked for; for one resource without a direction both, each under its own heading."""
    from studio.report import trees

    if focus is None or upstream is not None:
        shown = [trees.to_text(drawn, downstream=upstream is False, root=focus)]
    else:
        needs, feeds = (trees.to_text(drawn, downstream=way, root=focus) for way in (False, True))
        shown = [f"Needs:\n{needs}", f"Feeds:\n{feeds}"]
    return shown if options.colored() else [click.unstyle(text) for text in shown]
