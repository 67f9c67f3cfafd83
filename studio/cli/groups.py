"""Groups of commands: a misspelt command is answered with the nearest one."""

from __future__ import annotations

import click

from studio.core.errors import UsageError


class Group(click.Group):
    """A group that knows what was meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        word, known = args[0], self.list_commands(ctx)
        if word not in known and not word.startswith("-") and not ctx.resilient_parsing:
            from studio.core.suggest import nearest

            meant = nearest(word, known)
            path = ctx.command_path
            hint = f"did you mean '{path} {meant}'?" if meant else f"'{path} --help' lists the commands"
            raise UsageError(f"there is no command {word!r}", hint)
        return super().resolve_command(ctx, args)
