"""The command line. Each command's module is imported only when it runs, so that ``--help`` stays fast."""

from __future__ import annotations

import importlib
import os
import sys

import click

from studio import __version__
from studio.cli import errors
from studio.core.errors import UsageError

GROUPS: dict[str, dict[str, str]] = {
    "Author": {
        "init": "Start a project in a folder.",
        "validate": "Check every manifest, offline.",
        "preview": "Show what training will see: rows, tokens, steps.",
        "fmt": "Lay out manifests the same way everywhere.",
        "graph": "What feeds what.",
        "explain": "A rule, a kind or a field, with examples.",
        "rules": "Every rule, on one line.",
        "schemas": "JSON Schemas, for editors.",
    },
    "Run": {
        "plan": "Say what would happen, and why.",
        "apply": "Make it so.",
        "status": "What is recorded, and what is running.",
        "show": "One resource in full: facts, metrics, comparison.",
        "logs": "The log of a resource's latest run.",
    },
    "Environment": {
        "doctor": "Whether this machine has what jobs need.",
        "version": "Versions of studio and of what it runs on.",
    },
}
"""Sections of the help, each with its commands and their lines; a command's name is also its module's name."""

COMMANDS: dict[str, str] = {name: line for group in GROUPS.values() for name, line in group.items()}


class LazyGroup(click.Group):
    """A group whose commands are modules of ``studio.cli``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"studio.cli.{cmd_name}").command
        return command if isinstance(command, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        word = args[0]
        if word not in COMMANDS and not word.startswith("-") and not ctx.resilient_parsing:
            from studio.core.suggest import nearest

            meant = nearest(word, COMMANDS)
            hint = f"did you mean 'studio {meant}'?" if meant else "'studio --help' lists the commands"
            raise UsageError(f"there is no command {word!r}", hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, COMMANDS))
        for title, commands in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), line) for name, line in commands.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: studio init, then studio validate, studio plan, studio apply.",
)
@click.version_option(__version__, prog_name="studio")
@click.pass_context
def studio(ctx: click.Context) -> None:
    """Fine-tune language models through pull requests: manifests in, trained and registered models out."""
    if os.environ.get("NO_COLOR"):
        ctx.color = False


def main() -> None:
    """Entry point of the ``studio`` command."""
    sys.exit(errors.run(lambda: studio.main(standalone_mode=False)))
