"""What a job prints, copied to its log and to the console of the engine it runs in, without secrets."""

from __future__ import annotations

import io
import sys
import threading
from pathlib import Path
from typing import IO

from studio.jobs.hiding import Hide

LONGEST_CHARACTERS = 1 << 16
"""Of a line; what is longer comes in pieces."""


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
