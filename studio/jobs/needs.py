"""Looks on this machine for what jobs need of it: by the functions that the jobs themselves begin with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import assert_never

from studio.core import harness_tasks
from studio.core.errors import JobError
from studio.core.judge_names import url_variable
from studio.core.needs import ATTENDING, EVALUATION, EXPORT, TRAINING, Need, What
from studio.jobs import packages
from studio.jobs.export import converter
from studio.jobs.training.axolotl import home

EXTRA, QUANTISING = "train", "bitsandbytes"
_SCORING = frozenset({"nltk", "rouge-score", "scipy"})
SPARED: dict[str, frozenset[str]] = {
    TRAINING: _SCORING,
    ATTENDING: _SCORING | {"trl"},
    EVALUATION: frozenset({"trl"}),
    EXPORT: _SCORING | {"trl"},
}
"""Packages of the extra that a kind of work does without. Without bitsandbytes does all that does not ask for it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where is looked. ``axolotl_python`` as job specs say it."""

    root: Path
    axolotl_python: str
    environ: Mapping[str, str]


def found(need: Need, here: Place) -> str:
    """What there is of it, in words. Raises JobError, with what to do, when it is not there or does not suit."""
    match need.what:
        case What.LIBRARIES:
            return _packages(None, SPARED[need.name] | {QUANTISING})
        case What.BITSANDBYTES:
            return _packages(QUANTISING)
        case What.AXOLOTL:
            there = home.find(here.axolotl_python, here.root, here.environ)
            return f"{home.PACKAGE} {there.version} of {there.python}"
        case What.HARNESS:
            return harness_tasks.demand_installed()
        case What.GGUF:
            return str(converter.find(here.environ))
        case What.JUDGE:
            from studio.jobs.evaluation import judge_client  # HTTP and TLS, for those that have judges

            return url_variable(judge_client.endpoint(need.name, here.environ).name)
        case _:
            assert_never(need.what)


def _packages(name: str | None, spared: frozenset[str] = frozenset()) -> str:
    """Of the extra, one or all but those spared. Where studio is not installed, nobody knows what suits."""
    try:
        declared = packages.declared(EXTRA)
    except metadata.PackageNotFoundError:
        return ""
    from packaging.utils import canonicalize_name

    named = [(canonicalize_name(each.name), each) for each in declared]
    wanted = [each for known, each in named if (known == name if name else known not in spared)]
    wrong, cure = packages.faults(wanted)
    if wrong:
        raise JobError(wrong, cure)
    return ", ".join(each.name for each in wanted)
