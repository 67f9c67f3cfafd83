"""Projects, jobs and their runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import urlsplit

from tests.fakes.workspace.facts import Record, record
from tests.fakes.workspace.files import HOME
from tests.fakes.workspace.listing import listed
from tests.fakes.workspace.refusal import Refusal
from tests.fakes.workspace.running import ENDED, Run
from tests.fakes.workspace.state import USER, Asked, Project, State, got

CHANGEABLE = frozenset(
    {"name", "script", "cpu", "memory", "nvidia_gpu", "arguments", "environment", "timeout", "schedule", "paused",
     "kernel", "runtime_identifier", "runtime_addon_identifiers", "kill_on_timeout", "timezone", "accelerator_label_id"}
)  # fmt: skip


def get_project(state: State, asked: Asked) -> Record:
    return state.project(asked.ids).record


def list_projects(state: State, asked: Asked) -> Record:
    found = [each.record for each in state.projects.values()]
    return listed("ListProjectsResponse", found, asked.query, state.settings.substring)


def _job(state: State, ids: Mapping[str, str]) -> Record:
    project = state.project(ids)
    job = got(state.jobs, ids["job_id"], "job")
    if job["project"]["public_identifier"] != project.record["id"]:
        raise Refusal(404, f"job {job['id']} was not found")
    return job


def list_jobs(state: State, asked: Asked) -> Record:
    project = state.project(asked.ids).record["id"]
    found = [each for each in state.jobs.values() if each["project"]["public_identifier"] == project]
    return listed("ListJobsResponse", found, asked.query, state.settings.substring)


def get_job(state: State, asked: Asked) -> Record:
    return _job(state, asked.ids)


def create_job(state: State, asked: Asked) -> Record:
    """Names need not be unique: a request that arrives twice makes two jobs."""
    project, body, now = state.project(asked.ids), asked.body, state.now()
    for name in ("name", "script"):
        if not body.get(name):
            raise Refusal(400, f"invalid job: {name} is required")
    if not body.get("runtime_identifier") and not body.get("kernel"):
        raise Refusal(400, "invalid job: runtime_identifier is required in a project of ML runtimes")
    expect_label(state, body)
    given = {name: body[name] for name in CHANGEABLE & body.keys() if body[name] is not None}
    parent = body.get("parent_job_id") or body.get("parent_id") or ""
    job = record("Job", **{"kernel": "python3", "cpu": 1.0, "memory": 1.0, **given}) | {
        "id": state.new_id(), "created_at": now, "updated_at": now, "creator": USER, "owner": USER,
        "type": "manual" if not parent else "dependent", "parent_id": parent, "timeout": str(body.get("timeout") or 0),
        "environment": json.dumps(body.get("environment") or {}),
        "project": record("ShortProject", public_identifier=project.record["id"], name=project.record["name"]),
    }  # fmt: skip
    state.jobs[job["id"]] = job
    return job


def expect_label(state: State, body: Mapping[str, str]) -> None:
    label = body.get("accelerator_label_id")
    if label and label not in {each["id"] for each in state.labels}:
        raise Refusal(400, f"accelerator label {label} was not found")


def update_job(state: State, asked: Asked) -> Record:
    job = _job(state, asked.ids)
    job.update({name: value for name, value in asked.body.items() if name in CHANGEABLE and value is not None})
    job["updated_at"] = state.now()
    return job


def delete_job(state: State, asked: Asked) -> Record:
    """With its runs; a run that is under way is stopped."""
    job = _job(state, asked.ids)
    for run in _runs(state, job):
        state.runner.stop(run)
        del state.runs[run.id]
    del state.jobs[job["id"]]
    return {}


def _runs(state: State, job: Record) -> list[Run]:
    return [each for each in state.runs.values() if each.record["job_id"] == job["id"]]


def run_children(state: State, run: Run) -> None:
    """A workspace runs the jobs that depend on one by itself when that one has succeeded."""
    for job in [each for each in state.jobs.values() if each["parent_id"] == run.record["job_id"]]:
        _create_run(state, job, {})


def create_job_run(state: State, asked: Asked) -> Record:
    return _create_run(state, _job(state, asked.ids), asked.body)


def _create_run(state: State, job: Record, body: Record) -> Record:
    project = state.projects[job["project"]["public_identifier"]]
    environment = json.loads(job["environment"]) | (body.get("environment") or {})
    shown = record(
        "JobRun", id=state.new_id(), project_id=project.record["id"], job_id=job["id"], created_at=state.now(),
        creator=USER, arguments=body.get("arguments") or job["arguments"], environment=json.dumps(environment),
        **{name: job[name] for name in ("kernel", "cpu", "memory", "nvidia_gpu", "runtime_identifier")},
    )  # fmt: skip
    timeout = float(job["timeout"]) * state.settings.second if job["kill_on_timeout"] else 0
    run = Run(shown, job["script"].removeprefix(f"{HOME}/"), project.folder,
              workload(state, project, shown, environment), state.scratch / f"{shown['id']}.log", timeout)  # fmt: skip
    state.runs[run.id] = run
    state.runner.submit(run)
    return run.record


def workload(state: State, project: Project, shown: Record, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of a workload: the image's, the project's, its own, and those that the workspace sets."""
    settings = state.settings
    own = {
        "HOME": str(project.folder), "CDSW_PROJECT_ID": project.record["id"], "CDSW_PROJECT": project.record["name"],
        "PROJECT_OWNER": USER["username"], "CDSW_ENGINE_ID": shown["id"], "CDSW_MASTER_ID": shown["id"],
        "CDSW_IP_ADDRESS": "127.0.0.1", "CDSW_MASTER_IP": "127.0.0.1", "CDSW_DOMAIN": urlsplit(state.url).netloc,
        "CDSW_API_URL": f"{state.url}/api/v1",
        "CDSW_CPU_MILLICORES": str(int(shown["cpu"] * 1000)), "CDSW_MEMORY_MB": str(int(shown["memory"] * 1024)),
    }  # fmt: skip
    if settings.key_in_runs:
        own["CDSW_APIV2_KEY"] = settings.key
    if shown.get("arguments"):
        own["JOB_ARGUMENTS"] = shown["arguments"]
    return {**settings.variables, **project.environment, **environment, **own}


def _run(state: State, asked: Asked) -> Run:
    job, run = _job(state, asked.ids), got(state.runs, asked.ids["run_id"], "job run")
    if run.record["job_id"] != job["id"]:
        raise Refusal(404, f"job run {run.id} was not found")
    return run


def get_job_run(state: State, asked: Asked) -> Record:
    return _run(state, asked).record


def list_job_runs(state: State, asked: Asked) -> Record:
    found = [each.record for each in _runs(state, _job(state, asked.ids))]
    return listed("ListJobRunsResponse", found, asked.query, state.settings.substring)


def stop_job_run(state: State, asked: Asked) -> Record:
    run = _run(state, asked)
    if run.status in ENDED:
        raise Refusal(400, f"job run {run.id} is not running")
    state.runner.stop(run)
    return run.record
