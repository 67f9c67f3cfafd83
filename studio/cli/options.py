"""Options that several commands share."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studio.core.errors import UsageError

if TYPE_CHECKING:
    from studio.plan.actions import Refreshed
    from studio.report.advice import Here
    from studio.workflow.planning import Planned

F = Callable[..., Any]
PATTERN = "KIND/NAME"


def project(command: F) -> F:
    """``--project`` and ``--env``: which project, in which environment."""
    command = click.option(
        "--env", "environment", default="default", show_default=True, metavar="NAME", help="Environment of studio.yaml."
    )(command)
    return folder(command)


def project_everywhere(command: F) -> F:
    """``--project`` and ``--env``: which project, in one environment or, when none is named, in all of them."""
    command = click.option(
        "--env", "environment", metavar="NAME", help="One environment only.  [default: all of them]"
    )(command)
    return folder(command)


def folder(command: F) -> F:
    """``--project``: which project, for commands to which all its environments are the same."""
    return click.option(
        "-C",
        "--project",
        "folder",
        default=".",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        metavar="FOLDER",
        help="Project folder, or one inside it.  [default: here]",
    )(command)


def variables(command: F) -> F:
    """``--var``: values of the project's variables, over those of studio.yaml."""
    return click.option(
        "--var",
        "given",
        multiple=True,
        metavar="NAME=VALUE",
        callback=_assigned,
        help="Set a variable of studio.yaml; may be repeated.",
    )(command)


def _assigned(context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise UsageError(f"--var {text!r} sets nothing", "write --var NAME=VALUE")
        if name in found:
            raise UsageError(f"--var {name} is given twice", "leave one of them out")
        found[name] = value
    return found


def as_json(command: F) -> F:
    """``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")(command)


def online(command: F) -> F:
    """``--online``."""
    return click.option("--online", is_flag=True, help="Also ask the Hugging Face Hub and the CML registry.")(command)


def no_cache(command: F) -> F:
    """``--no-cache``."""
    return click.option(
        "--no-cache", is_flag=True, help="Check and ask everything again, also when nothing has changed."
    )(command)


def selection(command: F) -> F:
    """``--target``, ``--exclude``, ``--replace``, ``--prune`` and ``--forget``, handed over as ``selection``."""

    @wraps(command)
    def selecting(
        *args: Any, target: tuple[str, ...], exclude: tuple[str, ...], replace: tuple[str, ...], prune: bool,
        forget: bool, **others: Any,
    ) -> Any:  # fmt: skip
        from studio.plan.selection import Selection, Unmanaged

        if prune and forget:
            hint = "--prune deletes, --forget drops records and leaves the things; choose with --target what for"
            raise UsageError("--prune and --forget exclude each other", hint)
        unmanaged = Unmanaged.DELETE if prune else Unmanaged.FORGET if forget else Unmanaged.KEEP
        return command(*args, selection=Selection(target, exclude, replace, unmanaged), **others)

    chosen: F = selecting
    for add in (
        click.option("--forget", is_flag=True, help="Drop the records of what has no manifest any more; leave it be."),
        click.option("--prune", is_flag=True, help="Delete what is recorded and has no manifest any more."),
        click.option("--replace", multiple=True, metavar=PATTERN, help="Run this job again although nothing changed."),
        exclude,
        target,
    ):
        chosen = add(chosen)
    return chosen


def target(command: F) -> F:
    """``--target``."""
    words = "Only this resource and what it needs, such as FineTuningJob/router, 'FineTuningJob/*' or a name."
    return click.option("--target", multiple=True, metavar=PATTERN, help=words)(command)


def exclude(command: F) -> F:
    """``--exclude``."""
    words = "All but this resource and what needs it."
    return click.option("--exclude", multiple=True, metavar=PATTERN, help=words)(command)


def agreed(yes: bool, question: str) -> bool:
    """Ask, unless the answer was given; without a terminal there is nobody to ask."""
    if yes:
        return True
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("there is no terminal to ask on", "say --yes to go ahead")
    return click.confirm(question)


def refresh(command: F) -> F:
    """``--refresh``."""
    words = "First compare what is recorded with what is there; see 'studio drift'."
    return click.option("--refresh", is_flag=True, help=words)(command)


def refreshed(refresh: bool, online: bool) -> Refreshed:
    """What ``--refresh`` looks at: the hub too where it may be asked."""
    from studio.plan.actions import Refreshed

    return Refreshed.NOT if not refresh else Refreshed.ONLINE if online else Refreshed.OFFLINE


def colored() -> bool:
    """Whether standard output shows colors: a terminal, and NO_COLOR not set."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def demand_folder(file: Path, option: str) -> None:
    """Refuse a file to write in a folder that is not there: a misspelt path must not become a new folder."""
    if not file.name:
        raise UsageError(f"{option} names no file", f"write {option} FILE")
    folder = file.parent
    if folder.is_dir():
        return
    if folder.exists():
        raise UsageError(f"{folder} is not a folder", f"name another file with {option}")
    raise UsageError(f"the folder {folder} does not exist", f"create it, or name another file with {option}")


def keeping_garbage(command: F) -> F:
    """For a command that makes a million objects, keeps them all and ends: looking through them again and again for
    garbage took a third of its time. The outermost option, so that what the others import counts too."""

    @wraps(command)
    def kept(*args: Any, **others: Any) -> Any:
        gc.disable()
        return command(*args, **others)

    found: F = kept
    return found


def root_of(folder: Path) -> Path:
    """The project's root at or above ``folder``."""
    from studio.load.files import find_root

    return find_root(folder.resolve())


def here(folder: Path, environment: str, given: Mapping[str, str] | None = None) -> Here:
    """Where the present command runs, for the commands that it recommends."""
    from studio.report.advice import Here

    return Here(str(folder), environment, tuple(sorted((given or {}).items())))


def warn(planned: Planned) -> None:
    """Say what a refresh could not look at."""
    if planned.looks and planned.looks.unseen:
        from studio.report.drifts import warnings

        click.echo(warnings(planned.looks.unseen), err=True, nl=False)


def echo_json(content: Any) -> None:
    """Print JSON with sorted keys and hidden secrets."""
    from studio.report.plain import json_text

    click.echo(json_text(content))
