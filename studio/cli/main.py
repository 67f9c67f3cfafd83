"""The command line. Each command's module is imported only when it runs, so that ``--help`` stays fast."""

from __future__ import annotations

import importlib
import os
import sys

import click

from studio import __version__
from studio.cli import errors
from studio.cli.groups import Group

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
        "sync": "Follow a branch, and apply each of its commits.",
        "destroy": "Delete everything that is recorded.",
        "drift": "Compare what is recorded with what is there.",
        "status": "What is recorded, and what is running.",
        "show": "One resource in full: facts, metrics, comparison.",
        "report": "A page of a job, an evaluation, an export or the project.",
        "logs": "The log of a resource's latest run.",
        "cancel": "Stop a job.",
        "try": "Ask a base model and what was made of it the same.",
        "serve": "Answer prompts with what was applied, on this machine.",
    },
    "State": {
        "history": "Who changed state, when, from what, and what came of it.",
        "import": "Take over what exists, so that apply does not make it again.",
        "state": "Look at records and edit them by hand.",
    },
    "Environment": {
        "doctor": "Whether this machine has what jobs need.",
        "version": "Versions of studio and of what it runs on.",
    },
}
"""Sections of the help, each with its commands and their lines; a command's name is also its module's name."""

COMMANDS: dict[str, str] = {name: line for group in GROUPS.values() for name, line in group.items()}


class LazyGroup(Group):
    """A group whose commands are modules of ``studio.cli``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"studio.cli.{cmd_name}").command
        return command if isinstance(command, click.Command) else None

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
    sys.exit(errors.run(lambda: studio.main(prog_name="studio", standalone_mode=False)))
