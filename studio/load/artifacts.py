"""Whether what a job produced can be had: from this disk, or from the MLflow server that keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from studio.core.jobspec import ADAPTERS_FOLDER
from studio.load.adapters import ADAPTER_WEIGHTS


def is_present(output: Mapping[str, Any], root: Path, server: str | None) -> bool:
    """``server`` is the one that jobs log to now (``destinations.server``); an unknown one is taken to be the same.

    Whether the server still has it only the server could say; a job that does not get it there fails and says so.
    """
    location = output.get("adapter")
    if not isinstance(location, str) or (root / location / ADAPTER_WEIGHTS).is_file():
        return True
    kept = output.get("kept")
    if isinstance(kept, dict) and server in (None, kept.get("server")):
        return True
    return (root / ADAPTERS_FOLDER / str(output.get("digest")) / ADAPTER_WEIGHTS).is_file()
