"""Destroy: a plan against a project without manifests. Applying it is applying like any other."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from studio.apply import removing
from studio.checking import Checked
from studio.graph import build
from studio.load.project import load_project
from studio.plan.selection import Selection, Unmanaged
from studio.workflow import places, planning


def plan(root: Path, environment: str, selection: Selection) -> planning.Planned:
    """What would go. Manifests are looked at only for what they protect, so errors in them hinder nothing."""
    loaded = load_project(root, environment)
    everything = replace(selection, unmanaged=Unmanaged.DELETE, destroy=True)
    return planning.planned(Checked(loaded, build({}, {}), {}, []), everything)


def demand_idle(planned: planning.Planned) -> None:
    """Raise StudioError while a job runs of something that would go. The backend is asked only where one may."""
    going = {action.ref for action in planned.plan.pending}
    if any(run.ref in going for run in planned.state.active()):
        removing.demand_idle(going, planned.state, places.backend(planned.checked.loaded, os.environ))
