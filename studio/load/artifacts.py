"""Whether what a job produced can be had: from this disk, from the workspace where jobs run, or from the MLflow server
that keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.core.jobspec import ADAPTERS_FOLDER
from studio.load.adapters import ADAPTER_WEIGHTS


@dataclass(frozen=True, slots=True)
class Reach:
    """What an environment's jobs can get at. ``server`` is the MLflow server that they log to
    (``destinations.server``); an unknown one is taken to be the same."""

    root: Path
    server: str | None = ""
    elsewhere: bool = False
    """Whether jobs run in a workspace whose disk is not this one."""
    place: str = ""
    """The name of that workspace's project as a backend; "" while it is not known here, and then taken to be right."""


def is_present(output: Mapping[str, Any], reach: Reach) -> bool:
    """Whether somebody else still has it only they could say; a job that does not get it there fails and says so."""
    location = output.get("adapter")
    if not isinstance(location, str):
        return True
    kept = output.get("kept")
    if isinstance(kept, dict) and reach.server in (None, kept.get("server")):
        return True
    if reach.elsewhere:
        return is_of(output, reach.place)
    fetched = reach.root / ADAPTERS_FOLDER / str(output.get("digest"))
    return any((folder / ADAPTER_WEIGHTS).is_file() for folder in (reach.root / location, fetched))


def is_of(output: Mapping[str, Any], place: str) -> bool:
    """Whether it was made in a workspace, by the name of that; any will do for an unknown one."""
    made = output.get("place")
    return bool(made) and place in ("", made)


def absence(output: Mapping[str, Any], reach: Reach) -> str:
    """Why it cannot be had, in words."""
    if not reach.elsewhere and not output.get("place"):
        return "its adapter is neither on this disk nor kept on the MLflow server of this environment"
    made = f"in {output['place']}" if output.get("place") else "on the disk of another machine"
    here = f"in {reach.place}" if reach.elsewhere else "on this disk"
    return f"its adapter was made {made}, is not {here}, and is not kept on the MLflow server of this environment"
