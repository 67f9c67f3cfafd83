"""``python -m tests.sync.studio …``: the real command line with a backend whose jobs last JOB_SECONDS.

Jobs are lines of a journal that outlives every crash: one that was submitted twice stands there twice.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from studio.backends import BACKENDS
from studio.cli.main import main
from tests.crash import backend


def journal(root: Path, environ: Mapping[str, str]) -> backend.JournalBackend:
    return backend.JournalBackend(root)


if __name__ == "__main__":
    BACKENDS["journal"] = journal
    backend._duration = lambda spec: float(os.environ["JOB_SECONDS"])
    sys.exit(main())
