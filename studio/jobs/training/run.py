"""Training: dispatches to the framework that the job names."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable
from dataclasses import replace

from studio.core import course
from studio.core.jobresult import TrainingOutput
from studio.core.jobspec import JobSpec, TrainingWork
from studio.jobs import ranks
from studio.jobs.events import EventLog
from studio.jobs.result import Outcome
from studio.jobs.training import curves

Framework = Callable[[JobSpec, TrainingWork, EventLog], Outcome]
USER_SCRIPT = "user_script"
FRAMEWORKS: dict[str, str] = {
    "legacy": "studio.jobs.training.sft:train",
    "axolotl": "studio.jobs.training.axolotl.run:train",
    USER_SCRIPT: "studio.jobs.training.user_script:train",
}
"""``framework``, or that the job has a script of its own, to ``module:function``."""


def run(spec: JobSpec, events: EventLog) -> Outcome:
    """Train an adapter."""
    work = spec.work
    if not isinstance(work, TrainingWork):
        raise TypeError(f"training was given {type(work).__name__}")
    outcome = _framework(work)(spec, work, events)
    if not (ranks.is_main() and isinstance(outcome.output, TrainingOutput)):
        return outcome
    made = outcome.output.model_copy(update={"course": course.thinned(curves.told(spec))})
    if work.copy_to:
        copy = f"{work.copy_to}/{work.adapter_name}"
        shutil.copytree(spec.path(made.adapter), spec.path(copy), dirs_exist_ok=True)
        events.write("save", f"a copy of the adapter in {spec.path(copy)}")
        made = made.model_copy(update={"copies": (copy,)})
    return replace(outcome, output=made)


def _framework(work: TrainingWork) -> Framework:
    name = USER_SCRIPT if work.user_script else work.framework
    module, _, function = FRAMEWORKS[name].partition(":")
    framework: Framework = getattr(importlib.import_module(module), function)
    return framework
