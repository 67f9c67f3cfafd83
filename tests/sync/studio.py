"""``python -m tests.sync.studio …``: the real command line with a backend whose jobs last JOB_SECONDS.

Jobs are lines of a journal that outlives every crash: one that was submitted twice stands there twice.
"""

from __future__ import annotations

import os
import sys

from studio.backends import BACKENDS
from studio.backends.base import Site
from studio.cli.main import main
from tests.crash import backend


def journal(site: Site) -> backend.JournalBackend:
    return backend.JournalBackend(site.root)


if __name__ == "__main__":
    BACKENDS["journal"] = journal
    backend._duration = lambda spec: float(os.environ["JOB_SECONDS"])
    sys.exit(main())
