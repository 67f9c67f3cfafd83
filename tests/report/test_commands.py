"""The pages of the commands."""

from __future__ import annotations

import click

from studio.report.commands import command_markdown


@click.group()
def box() -> None:
    """What there is."""


@box.command(epilog="Example: studio box open --lid red x")
@click.argument("name")
@click.argument("rest", required=False)
@click.option("--lid", type=click.Choice(["red", "blue"]), default="red", show_default=True, help="Colour | of it.")
@click.option("--all", "-a", "everything", is_flag=True, help="All\nof it.")
@click.option("--secret", hidden=True)
def open(name: str, rest: str, lid: str, everything: bool, secret: str) -> None:
    """Open ``it``
    wide."""


def test_a_page_shows_usage_words_options_and_example() -> None:
    assert command_markdown("studio box open", open) == (
        "# studio box open\n\n```console\n$ studio box open [OPTIONS] NAME [REST]\n```\n\nOpen `it` wide.\n\n"
        "| option | what it does |\n|---|---|\n"
        "| `--lid` `red\\|blue` | Colour \\| of it. Default: `red`. |\n| `--all`, `-a` | All of it. |\n\n"
        "Example:\n\n```console\n$ studio box open --lid red x\n```\n"
    )


def test_a_group_s_page_holds_its_commands() -> None:
    page = command_markdown("studio box", box)
    assert page.startswith(
        "# studio box\n\n```console\n$ studio box [OPTIONS] COMMAND [ARGS]...\n```\n\nWhat there is."
    )
    assert "\n## studio box open\n" in page
