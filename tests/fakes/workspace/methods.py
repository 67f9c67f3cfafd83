"""Which function answers each method of the API."""

from __future__ import annotations

from collections.abc import Callable

from tests.fakes.http import Answer
from tests.fakes.workspace import files, jobs, registry
from tests.fakes.workspace.facts import Record
from tests.fakes.workspace.state import Asked, State

Handler = Callable[[State, Asked], Record | Answer]


def list_project_files(state: State, asked: Asked) -> Record:
    return files.listing(state.project(asked.ids).folder, asked.ids["path"])


def download_project_file(state: State, asked: Asked) -> Answer:
    return files.download(state.project(asked.ids).folder, asked.ids["path"])


def delete_project_file(state: State, asked: Asked) -> Record:
    return files.delete(state.project(asked.ids).folder, asked.ids["path"])


def upload_file(state: State, asked: Asked) -> Record:
    return files.upload(state.project(asked.ids).folder, asked.request)


METHODS: tuple[Handler, ...] = (
    jobs.get_project, jobs.list_projects, jobs.list_jobs, jobs.get_job, jobs.create_job, jobs.update_job,
    jobs.delete_job, jobs.create_job_run, jobs.get_job_run, jobs.list_job_runs, jobs.stop_job_run,
    registry.create_registered_model, registry.list_registered_models, registry.get_registered_model,
    registry.get_registered_model_version, registry.delete_registered_model,
    upload_file, download_project_file, list_project_files, delete_project_file,
)  # fmt: skip
HANDLERS: dict[str, Handler] = {each.__name__: each for each in METHODS}
