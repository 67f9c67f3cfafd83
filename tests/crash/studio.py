"""``python -m tests.crash.studio …``: the real command line with one more backend, and steps that may kill.

``tests/crash/steps.py`` says how a process is told where to kill itself.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from studio.backends import BACKENDS
from studio.backends.base import Site
from studio.cli import errors
from studio.cli.main import studio
from studio.workflow import places
from tests.crash import steps
from tests.crash.backend import JournalBackend

PAUSE = 0.003
"""Between two looks at running jobs, in seconds: they take some milliseconds only."""


def run(arguments: list[str]) -> int:
    """One command in this process; the exit code that a shell would see."""
    counted = steps.from_environment()
    steps.watch_database(counted)
    steps.watch_files(counted, Path.cwd())

    def journal(site: Site) -> JournalBackend:
        return JournalBackend(site.root, counted.reach)

    BACKENDS["journal"] = journal
    places.pause = lambda seconds: time.sleep(min(seconds, PAUSE))
    code = errors.run(lambda: studio.main(arguments, prog_name="studio", standalone_mode=False))
    return int(code)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
