"""Packages that this version of studio declares, and whether those that are installed suit. Nothing is imported."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from importlib import metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packaging.requirements import Requirement

STUDIO = "fine-tuning-studio"
WHY = {"transformers": "mlflow 3.17 cannot log a local checkpoint with transformers 5.23 or newer"}
"""Why a bound is there, for those that look arbitrary."""


def declared(extra: str) -> list[Requirement]:
    """What an extra adds; of "" what studio itself needs. Raises PackageNotFoundError where studio is not installed."""
    from packaging.requirements import Requirement

    everything = [Requirement(text) for text in metadata.requires(STUDIO) or ()]
    return [each for each in everything if _belongs(each, extra)]


def _belongs(each: Requirement, extra: str) -> bool:
    """Whether a requirement is in force with this extra, and not without it."""
    if each.marker is None:
        return not extra
    return each.marker.evaluate({"extra": extra}) and not (extra and each.marker.evaluate({"extra": ""}))


def faults(wanted: Iterable[Requirement]) -> tuple[str, str]:
    """What is not there or does not suit, and the command that mends it; two empty texts when all is well."""
    wrong, cures = [], []
    for each in wanted:
        try:
            version = metadata.version(each.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{each.name} is not installed")
        else:
            if each.specifier.contains(version, prereleases=True):
                continue
            why = f": {WHY[each.name]}" if each.name in WHY else ""
            wrong.append(f"{each.name} {version} does not suit ({each.specifier}){why}")
        cures.append(shlex.quote(f"{each.name}{each.specifier}"))
    return "; ".join(wrong), f"pip install {' '.join(cures)}" if wrong else ""
