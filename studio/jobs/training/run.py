"""Training: dispatches to the framework that the job names."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable
from dataclasses import replace

from studio.core import course
from studio.core.errors import JobError
from studio.core.jobresult import TrainingOutput
from studio.core.jobspec import JobSpec, TrainingWork
from studio.jobs import ranks
from studio.jobs.events import EventLog
from studio.jobs.result import Outcome
from studio.jobs.training import curves

Framework = Callable[[JobSpec, TrainingWork, EventLog], Outcome]
FRAMEWORKS: dict[str, str] = {"legacy": "studio.jobs.training.sft:train"}
"""``framework`` to ``module:function``."""


def run(spec: JobSpec, events: EventLog) -> Outcome:
    """Train an adapter. Raises JobError when the framework is not available here."""
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
    if work.user_script:
        raise JobError(
            f"user_script {work.user_script!r} cannot be run here: this version trains with trl only",
            "remove user_script and user_config",
        )
    if work.framework not in FRAMEWORKS:
        raise JobError(
            f"framework {work.framework} needs an environment of its own, with {work.framework} installed",
            f"use framework_type: {' or '.join(FRAMEWORKS)}",
        )
    module, _, function = FRAMEWORKS[work.framework].partition(":")
    framework: Framework = getattr(importlib.import_module(module), function)
    return framework
