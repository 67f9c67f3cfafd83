"""What a worker of a distributed run performs, in an engine that the first process launched: one more rank of the job.

It claims nothing and leaves no beacon: the first process answers for all. It ends as soon as that one is gone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from studio.core.errors import StudioError
from studio.core.jobspec import LOG_FILE, SPEC_FILE
from studio.jobs import launching, ranks
from studio.jobs.workspace import attending, delivery, lifeline
from studio.jobs.workspace.attending import Process, Stop

REFUSED, ABANDONED = 64, 143


def perform(environ: Mapping[str, str], folder: Path, stop: Stop) -> int:
    """The exit code of this rank, or minus the signal that killed it."""
    rank = ranks.rank()
    line = lifeline.call(environ[lifeline.ADDRESS_VARIABLE], environ[lifeline.TOKEN_VARIABLE], rank)
    if line is None:
        delivery.say(f"the first process of the run is not at {environ[lifeline.ADDRESS_VARIABLE]}: nothing to do")
        return ABANDONED
    code = REFUSED
    try:
        code = _perform(environ, folder, stop, line)
    except (StudioError, OSError) as error:
        delivery.say(f"refused: {error}\n{getattr(error, 'hint', '')}".rstrip())
    finally:
        line.tell_end(code)
    return code


def _perform(environ: Mapping[str, str], folder: Path, stop: Stop, line: lifeline.Line) -> int:
    spec = delivery.received(environ, folder)

    def tick() -> None:
        if not stop.asked and line.is_broken():
            delivery.say("the first process of the run is gone: ending")
            stop.ask()

    with tempfile.TemporaryDirectory() as own:
        file = Path(own, SPEC_FILE)
        file.write_text(spec.model_dump_json())
        log = spec.folder / LOG_FILE.replace(".", f"-{ranks.rank()}.")
        return attending.attend(Process(launching.alone(file), spec, environ, log), stop, tick)
