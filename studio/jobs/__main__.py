"""``python -m studio.jobs SPEC.json``: performs one job.

Exit codes: 0 the job succeeded, 1 it failed (``result.json`` says why), 64 the spec cannot be read, 74 the result
cannot be written, 143 stopped by SIGTERM (no result: a later attempt resumes).
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from pydantic import ValidationError

from studio.core import parts
from studio.core.jobspec import EVENTS_FILE, JobSpec
from studio.jobs import performing, ranks
from studio.jobs.evaluation import gathering
from studio.jobs.events import EventLog
from studio.jobs.result import of_rank, tidy, write_result

OK, FAILED, BAD_SPEC, CANNOT_WRITE, STOPPED = 0, 1, 64, 74, 143
QUIET = {"DO_NOT_TRACK": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
"""A job reports to its own project and to nobody else; progress bars would only fill the log."""


def main(arguments: list[str]) -> int:
    """Read the spec, perform the job, write the result last."""
    if len(arguments) != 1:
        print("usage: python -m studio.jobs SPEC.json", file=sys.stderr)
        return BAD_SPEC
    try:
        spec = JobSpec.model_validate_json(Path(arguments[0]).read_bytes())
    except (OSError, ValidationError) as error:
        print(f"{arguments[0]} is not a readable job spec: {error}", file=sys.stderr)
        return BAD_SPEC
    if not parts.is_possible(spec):
        print(f"{arguments[0]} asks for part {spec.part} of work that has {parts.count(spec)}", file=sys.stderr)
        return BAD_SPEC
    os.environ.update({name: value for name, value in QUIET.items() if name not in os.environ})
    signal.signal(signal.SIGTERM, _stop)
    faulthandler.enable()  # a crash inside a library leaves a stack in the log, not silence
    try:
        return _perform(spec)
    except OSError as error:
        print(f"cannot write to {spec.folder}: {error}", file=sys.stderr)
        return CANNOT_WRITE


def _perform(spec: JobSpec) -> int:
    spec.folder.mkdir(parents=True, exist_ok=True)
    with EventLog(spec.folder / EVENTS_FILE, muted=not ranks.is_main()) as events:
        of = f", part {spec.part} of {parts.count(spec)}: {parts.title(spec, spec.part)}" if spec.part else ""
        events.write("start", f"{spec.kind}/{spec.name}, attempt {spec.attempt}{of}")
        try:
            result = performing.perform(spec, events)
        except SystemExit:
            events.write("stopped", "asked to stop; a later attempt goes on from the last checkpoint")
            raise
        if ranks.is_main():
            write_result(spec.folder, result)
            if not result.failure:
                tidy(spec.folder)
        elif result.failure:  # for whoever must say which of them was to blame
            write_result(spec.folder, result, of_rank(ranks.rank()))
        apart = gathering.gather(spec, events) if spec.part else None
    return FAILED if result.failure or apart else OK


def _stop(number: int, frame: FrameType | None) -> None:
    """End in order, so that open runs are closed; a second signal ends at once."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    raise SystemExit(STOPPED)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
