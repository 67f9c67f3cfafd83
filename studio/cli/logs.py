"""``studio logs``."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from studio.cli import options
from studio.core.errors import BackendError, UsageError

if TYPE_CHECKING:
    from studio.apply.patience import Patience
    from studio.backends.base import Backend, Handle, JobStatus, Log

PAUSE_SECONDS = 0.5


@click.command(epilog="Example: studio logs FineTuningJob/router --follow")
@click.argument("name", metavar="[KIND/]NAME")
@options.project
@click.option("-f", "--follow", is_flag=True, help="Go on printing until the job ends.")
@click.option("-n", "--lines", type=click.IntRange(1), metavar="N", help="Only the last N lines.")
def command(name: str, folder: Path, environment: str, follow: bool, lines: int | None) -> None:
    """The log of a resource's latest run."""
    from studio import inspection
    from studio.cli import resource
    from studio.load.project import load_project
    from studio.workflow import places

    loaded = load_project(options.root_of(folder), environment)
    state = places.open_state(loaded)
    runs = state.runs()
    known = [*state.records(), *(run.ref for run in runs)]
    ref = resource.recorded(name, [*known, *inspection.begun(known, loaded.resources)], loaded)
    run = next((run for run in runs if run.ref == ref), None)
    if run is None and (trials := inspection.trials(ref, loaded.resources)):
        raise UsageError(f"{ref} is a sweep: its trials run, not itself", f"'studio logs {trials[0].ref}', or another")
    if run is None:
        raise UsageError(f"{ref} has never run here", f"'studio show {ref}' says what is recorded")
    backend = places.backend(loaded, os.environ)
    handle = inspection.handle_of(run, backend)
    if handle is None:
        raise UsageError(f"the job of {ref} was never started", "'studio apply' starts it")
    log = backend.log(handle)
    if lines:
        log.skip(lines)
    if follow:
        ended = _follow(backend, handle, log)
        click.echo(f"{ref}: {ended.state.value}", err=True)
    else:
        _print(log, unfinished=True)


def _follow(backend: Backend, handle: Handle, log: Log) -> JobStatus:
    """Print what comes until the job has ended; it is asked first, so that nothing is missed."""
    from studio.apply.patience import Patience
    from studio.backends.base import JobState

    patience = Patience(time.monotonic)
    while True:
        status = _asked(backend, handle, patience)
        over = status is not None and status.state is not JobState.RUNNING
        _print(log, unfinished=over)
        if status and over:
            return status
        time.sleep(PAUSE_SECONDS)


def _asked(backend: Backend, handle: Handle, patience: Patience) -> JobStatus | None:
    """Where the job stands; None while the backend does not answer. Raises BackendError after minutes of that."""
    if not patience.is_due:
        return None
    try:
        status = backend.poll(handle)
    except BackendError:
        patience.was_ignored()
        if patience.is_exhausted:
            raise
        return None
    patience.answered()
    return status


def _print(log: Log, *, unfinished: bool) -> None:
    from studio.report.plain import log_line

    for line in log.lines(unfinished=unfinished):
        sys.stdout.write(log_line(line))  # click would flush each of a million lines
    sys.stdout.flush()
