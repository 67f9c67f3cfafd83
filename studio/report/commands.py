"""The pages of the commands, read from their declarations."""

from __future__ import annotations

from collections.abc import Iterator

import click

from studio.report.catalogue import unwrapped


def command_markdown(path: str, command: click.Command) -> str:
    """A command's page: usage, what it does, arguments and options; a group's page holds those of its commands."""
    return "\n\n".join(_parts(path, command, 1)) + "\n"


def _parts(path: str, command: click.Command, level: int) -> Iterator[str]:
    yield f"{'#' * level} {path}"
    yield f"```console\n$ {path} {' '.join(_usage(command))}\n```"
    yield unwrapped(command.help or "")
    shown = [each for each in command.params if isinstance(each, click.Option) and not each.hidden]
    if shown:
        rows = [f"| {_names(option)} | {_words(option)} |" for option in shown]
        yield "\n".join(["| option | what it does |", "|---|---|", *rows])
    if command.epilog:
        label, _, example = command.epilog.partition(": ")
        yield f"{label}:\n\n```console\n$ {example}\n```" if label == "Example" else command.epilog
    if isinstance(command, click.Group):
        for name in sorted(command.commands):
            yield from _parts(f"{path} {name}", command.commands[name], level + 1)


def _usage(command: click.Command) -> Iterator[str]:
    yield "[OPTIONS]"
    for each in command.params:
        if isinstance(each, click.Argument):
            name = each.metavar or str(each.name).upper()
            yield name if each.required or name.startswith("[") else f"[{name}]"
    if isinstance(command, click.Group):
        yield "COMMAND [ARGS]..."


def _names(option: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    if option.is_flag or option.count:
        return names
    choices = "\\|".join(map(str, option.type.choices)) if isinstance(option.type, click.Choice) else ""
    return f"{names} `{option.metavar or choices or option.type.name.upper()}`".replace("\\|", "|").replace("|", "\\|")


def _words(option: click.Option) -> str:
    words = " ".join((option.help or "").split()).replace("|", "\\|")
    shown = option.show_default and option.default is not None and not option.is_flag
    return f"{words} Default: `{option.default}`." if shown else words
