"""Checks of what is installed, against what this version of studio declares; nothing of it is imported."""

from __future__ import annotations

import platform
import sys
from importlib import metadata

from studio import __version__
from studio.core.needs import What
from studio.doctor.checkup import Checkup, Surroundings, Verdict
from studio.jobs import packages

OLDEST = (3, 11)


def python(around: Surroundings) -> Checkup:
    found = f"{platform.python_version()} on {platform.platform()}, studio {__version__}"
    if sys.version_info < OLDEST:
        return Checkup(Verdict.MISSING, found, f"studio needs Python {'.'.join(map(str, OLDEST))} or newer")
    return Checkup(Verdict.OK, found)


def core(around: Surroundings) -> Checkup:
    """What validate and plan need."""
    return _libraries("", Verdict.MISSING)


def train(around: Surroundings) -> Checkup:
    """What jobs need; on CML they find it in their runtime."""
    return _libraries("train", around.needed())


def axolotl(around: Surroundings) -> Checkup | None:
    """The environment that trainings with Axolotl run in; nothing of it is run here."""
    return around.looked_for(What.AXOLOTL)


def harness(around: Surroundings) -> Checkup | None:
    """What asks the tasks of evaluations; none where there are no tasks."""
    return around.looked_for(What.HARNESS)


def gguf(around: Surroundings) -> Checkup | None:
    """The converter that exports with ``gguf`` need; nothing of it is run here."""
    return around.looked_for(What.GGUF)


def _libraries(extra: str, verdict: Verdict) -> Checkup:
    try:
        wanted = packages.declared(extra)
    except metadata.PackageNotFoundError:
        return Checkup(Verdict.WARNING, "studio runs from a folder and is not installed", "pip install -e '.[train]'")
    wrong, cure = packages.faults(wanted)
    if wrong:
        return Checkup(verdict, wrong, cure)
    return Checkup(Verdict.OK, ", ".join(f"{each.name} {metadata.version(each.name)}" for each in wanted))
