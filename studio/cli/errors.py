"""Exit codes, and the one place where exceptions become them."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from enum import IntEnum
from io import StringIO
from pathlib import Path

import click

from studio import __version__
from studio.core.errors import LeaseLostError, StalePlanError, StateLockedError, StudioError, UsageError
from studio.core.secrets import redact


class Exit(IntEnum):
    """Exit codes of every command; the README lists them."""

    OK = 0
    FINDINGS = 1
    CHANGES = 2
    LOCKED = 3
    STALE = 4
    USAGE = 64
    BUG = 70
    INTERRUPTED = 130


_CODES: tuple[tuple[type[StudioError], Exit], ...] = (
    (UsageError, Exit.USAGE),
    (StateLockedError, Exit.LOCKED),
    (LeaseLostError, Exit.LOCKED),
    (StalePlanError, Exit.STALE),
    (StudioError, Exit.FINDINGS),
)


def run(command: Callable[[], object]) -> int:
    """Call a command and turn whatever it raises into an exit code; no traceback reaches the user."""
    try:
        result = command()
        sys.stdout.flush()
        return int(result) if isinstance(result, int) else Exit.OK
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        shown = StringIO()
        error.show(shown)
        click.echo(redact(shown.getvalue()), err=True, nl=False)  # it repeats what was typed
        return Exit.USAGE
    except StudioError as error:
        _complain(error)
        return next(code for kind, code in _CODES if isinstance(error, kind))
    except (KeyboardInterrupt, click.Abort):
        click.echo("\ninterrupted", err=True)
        return Exit.INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
    except OSError as error:
        _complain(_explain(error))
        return Exit.FINDINGS
    except Exception as error:
        if _is_database_error(error):
            _complain(StudioError(f"a database refused: {error.args[0]}", "check its disk, its rights and its server"))
            return Exit.FINDINGS
        click.echo(_report_bug(), err=True)
        return Exit.BUG


def _explain(error: OSError) -> StudioError:
    """What the machine refused: a full disk, missing rights, a file in the way."""
    where = f"{error.filename}: " if error.filename else ""
    return StudioError(f"{where}{error.strerror or error}", "check space, rights and what is there already")


def _is_database_error(error: Exception) -> bool:
    """Whether the state's database said no; SQLAlchemy is not imported to find out."""
    loaded = sys.modules.get("sqlalchemy.exc")
    return loaded is not None and isinstance(error, loaded.OperationalError)


def _complain(error: StudioError) -> None:
    from studio.report.plain import plain  # names and values of manifests are in these words

    where = f"{plain(error.position)}: " if error.position else ""
    click.echo(f"{click.style('error:', fg='red', bold=True)} {where}{plain(error.message)}", err=True)
    if error.hint:
        click.echo(f"  {plain(error.hint)}", err=True)


def _report_bug() -> str:
    """Write the traceback to a file and say where; the words of a bug are for its mender."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    content = "\n".join(
        [
            f"studio {__version__}, Python {platform.python_version()} on {platform.platform()}",
            f"arguments: {sys.argv[1:]}",
            "",
            traceback.format_exc(),
        ]
    )
    for folder in (Path(".studio"), Path(tempfile.gettempdir())):
        file = folder / f"bug-{stamp}-{os.getpid()}.txt"
        try:
            file.write_text(redact(content), "utf-8")
        except OSError:
            continue
        return f"studio hit a bug of its own; nothing you did wrong.\n  please attach {file} to an issue"
    return f"studio hit a bug of its own, and could not write a report:\n{redact(content)}"
