"""A job of the local backend that takes no time: it notes that it ran, and leaves what such a job leaves."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from studio.core.atomic import write_atomically
from studio.core.jobspec import RESULT_FILE, JobSpec
from tests.crash.backend import EFFECT, JournalBackend
from tests.fakes.backend import result_of


def run(file: str) -> None:
    """Run the job of a spec and end this process."""
    spec = JobSpec.model_validate_json(Path(file).read_bytes())
    JournalBackend(Path(spec.project_dir)).note(EFFECT, spec)
    write_atomically(spec.folder / RESULT_FILE, result_of(spec).model_dump_json().encode())
    sys.stdout.flush()
    os._exit(0)
