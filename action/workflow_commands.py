"""What a step of a GitHub workflow says to the runner: annotations, outputs, the job's summary."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})


def annotate(level: str, message: str) -> None:
    """Show a message on the run's page. ``level`` is notice, warning or error."""
    print(f"::{level} title=Fine Tuning Studio::{message.translate(_DATA)}", flush=True)


def say_safely(text: str) -> None:
    """Print text that others wrote, with workflow commands switched off meanwhile."""
    word = uuid.uuid4().hex
    print(f"::stop-commands::{word}\n{text.rstrip()}\n::{word}::", flush=True)


def set_outputs(values: dict[str, str]) -> None:
    """Outputs of the step; a value cannot end its own block, as nobody can know the delimiter."""
    word = uuid.uuid4().hex
    lines = [f"{name}<<{word}\n{value}\n{word}\n" for name, value in values.items()]
    _append("GITHUB_OUTPUT", "".join(lines))


def add_summary(text: str) -> None:
    """Markdown for the job's summary."""
    _append("GITHUB_STEP_SUMMARY", text)


def _append(variable: str, text: str) -> None:
    with Path(os.environ[variable]).open("a", encoding="utf-8") as file:
        file.write(text)
