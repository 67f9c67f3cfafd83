"""The template jobs of a project, found by their names: what a job inherits from them is its runtime and its script
(guide, Job Dispatch Flow)."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from studio.backends.workspace.calls import Calls
from studio.core.errors import RefusedError

TRAINING = "Accel_Finetuning_Base_Job"
EVALUATION = "Mlflow_Evaluation_Base_Job"
GENERAL = "Finetuning_Base_Job"
FOR_TASK = {"training": (TRAINING,), "evaluation": (EVALUATION,)}
FOR_OTHERS = (GENERAL, TRAINING)
"""In order of preference; a project that only trains needs no template of its own for an export."""


@dataclass(frozen=True, slots=True)
class Template:
    """What jobs take over. ``timeout`` is in seconds, 0 for none."""

    name: str
    script: str
    runtime: str
    addons: tuple[str, ...] = ()
    kernel: str = ""
    timeout: int = 0


@dataclass(frozen=True, slots=True)
class Templates:
    """Looked up once for each name; each method raises RefusedError where a template is not there or of no use."""

    calls: Calls
    _found: dict[str, Template | None] = field(default_factory=dict)

    def for_task(self, task: str) -> Template:
        return self.first(FOR_TASK.get(task, FOR_OTHERS))

    def first(self, names: Sequence[str]) -> Template:
        """The first that is there."""
        for name in names:
            if name not in self._found:
                self._found[name] = self._look_up(name)
            if found := self._found[name]:
                return found
        message = f"the project {self.calls.project_id} has no job named {' or '.join(names)}"
        hint = "create one there with the script cml/run_job.py, which 'studio init --cml' writes, and jobs' runtime"
        raise RefusedError(message, hint)

    def _look_up(self, name: str) -> Template | None:
        found = {_template(job) for job in named(self.calls, name)}
        if len(found) > 1:
            message = (
                f"{len(found)} jobs of the project {self.calls.project_id} are named {name}, with different settings"
            )
            raise RefusedError(message, "delete or rename all but one of them in the workspace")
        template = next(iter(found), None)
        if template and not (template.script and template.runtime):
            lacking = "script" if not template.script else "runtime"
            raise RefusedError(f"the job {name} has no {lacking}", "choose one in the workspace: jobs inherit it")
        return template


def named(calls: Calls, name: str) -> list[Any]:
    """The project's jobs of exactly this name, the oldest first."""
    # Whether the filter takes the name as a whole or as a part of one is the workspace's business.
    filter = json.dumps({"name": name})
    jobs = calls.pages(
        f"list the jobs named {name}",
        lambda page: page.jobs,
        calls.client.list_jobs,
        calls.project_id,
        search_filter=filter,
    )
    return sorted((job for job in jobs if job.name == name), key=lambda job: (moment(job.created_at), job.id))


def moment(value: object) -> float:
    """A time of the API in seconds since the epoch; what has not happened comes after everything."""
    try:
        when = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return math.inf
    if not isinstance(when, datetime) or when.year <= 1:  # the first year is how a time that is not set is written
        return math.inf
    return when.timestamp() if when.tzinfo else when.replace(tzinfo=UTC).timestamp()


def _template(job: Any) -> Template:
    timeout = str(job.timeout or "")
    return Template(
        job.name,
        job.script or "",
        job.runtime_identifier or "",
        tuple(job.runtime_addon_identifiers or ()),
        job.kernel or "",
        int(timeout) if timeout.isdecimal() else 0,
    )
