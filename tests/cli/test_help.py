"""Every command explains itself, with an example that works."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from studio.cli.main import COMMANDS, GROUPS, studio

from .front_door import ask

MODULES = Path(__file__).parents[2] / "studio" / "cli"


def commands(path: tuple[str, ...], group: click.Group) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with its words, those of groups too."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands((*path, name), command)


EVERY = {" ".join(path): command for path, command in commands((), studio)}


@pytest.mark.parametrize("name", EVERY)
def test_a_commands_help_says_what_it_does_and_gives_an_example(tmp_path: Path, name: str) -> None:
    answer = ask(tmp_path, *name.split(), "--help")
    assert answer.code == 0 and answer.err == ""
    assert answer.out.startswith(f"Usage: studio {name} [OPTIONS]")
    assert f"Example: studio {name}" in " ".join(answer.out.split())


@pytest.mark.parametrize("name", EVERY)
def test_every_option_of_a_command_has_a_help_text(name: str) -> None:
    for parameter in EVERY[name].params:
        assert not isinstance(parameter, click.Option) or parameter.help, parameter.name


@pytest.mark.parametrize("name", EVERY)
def test_an_example_is_a_command_line_that_parses(name: str) -> None:
    command = EVERY[name]
    assert command.epilog is not None
    example = command.epilog.removeprefix("Example: ").partition("|")[0]
    words = shlex.split(example)[1 + len(name.split()) :]
    context = command.make_context(name, words, resilient_parsing=False)
    assert context.params is not None


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], []])
def test_the_overview_lists_every_command_on_one_line_each(tmp_path: Path, arguments: list[str]) -> None:
    answer = ask(tmp_path, *arguments)
    text = answer.out + answer.err
    for name, line in COMMANDS.items():
        assert any(shown.split(maxsplit=1) == [name, line] for shown in text.splitlines()), name


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("vaildate", "did you mean 'studio validate'?"),
        ("PLAN", "did you mean 'studio plan'?"),
        ("xyzzy", "'studio --help' lists the commands"),
    ],
)
def test_a_misspelt_command_leads_to_the_one_that_was_meant(tmp_path: Path, word: str, hint: str) -> None:
    answer = ask(tmp_path, word, "--env", "prod")
    assert answer.code == 64 and answer.out == ""
    assert answer.err == f"error: there is no command {word!r}\n  {hint}\n"


def test_commands_stand_in_groups_and_in_one_group_only() -> None:
    assert len(COMMANDS) == sum(map(len, GROUPS.values()))
    assert all(GROUPS.values())


def test_every_command_module_is_listed() -> None:
    declared = {file.stem for file in MODULES.glob("*.py") if "\ndef command(" in file.read_text()}
    assert declared == set(COMMANDS)


def test_a_misspelt_command_of_a_group_leads_to_the_one_that_was_meant(tmp_path: Path) -> None:
    answer = ask(tmp_path, "state", "lst")
    assert answer.code == 64
    assert answer.err == "error: there is no command 'lst'\n  did you mean 'studio state list'?\n"
