"""What a job prints, copied to its log and to the console of the engine it runs in, without secrets."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from studio.core.jobspec import VARIABLE, JobSpec
from studio.core.secrets import HIDDEN, redact

LONGEST_CHARACTERS = 1 << 16
"""Of a line; what is longer comes in pieces."""
SHORTEST_SECRET = 6
"""Characters. Hiding every ``1`` because some variable is ``1`` would help nobody."""
KEYS = ("CDSW_APIV2_KEY", "CDSW_API_KEY")
"""What a workspace itself puts into the environment of an engine and nobody should read in a log."""

Hide = Callable[[str], str]


def hiding(spec: JobSpec, environ: Mapping[str, str]) -> Hide:
    """Hides whatever looks like a secret, and the values of the variables that hold the job's."""
    uri = spec.tracking.tracking_uri
    names = {*spec.secrets.values(), *KEYS, *([uri.removeprefix(VARIABLE)] if uri.startswith(VARIABLE) else [])}
    values = sorted({environ.get(name, "") for name in names}, key=len, reverse=True)
    secrets = [value for value in values if len(value) >= SHORTEST_SECRET]

    def hide(text: str) -> str:
        for secret in secrets:
            text = text.replace(secret, HIDDEN)
        return redact(text)

    return hide


def copying(stream: IO[bytes], log: Path, hide: Hide) -> threading.Thread:
    """Begin to copy, line by line, until the stream ends; a log or a console that fails does not hold the job up."""
    thread = threading.Thread(target=_copy, args=(stream, log, hide), daemon=True)
    thread.start()
    return thread


def _copy(stream: IO[bytes], log: Path, hide: Hide) -> None:
    text = io.TextIOWrapper(stream, encoding="utf-8", errors="replace", newline="")
    with log.open("a", encoding="utf-8", newline="") as file:
        outputs: list[IO[str]] = [file, sys.stdout]
        while line := text.readline(LONGEST_CHARACTERS):
            outputs = [output for output in outputs if _written(output, hide(line))]


def _written(output: IO[str], text: str) -> bool:
    try:
        output.write(text)
        output.flush()
    except (OSError, ValueError):  # a full disk, a console that was closed: reading goes on, or the job would block
        return False
    return True
