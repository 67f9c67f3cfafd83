"""Which function answers each method of the API."""

from __future__ import annotations

from collections.abc import Callable

from tests.fakes.http import Answer
from tests.fakes.workspace import deployments, experiments, files, jobs, models, registry
from tests.fakes.workspace.endpoint import Deployment
from tests.fakes.workspace.facts import Record
from tests.fakes.workspace.listing import listed
from tests.fakes.workspace.refusal import Refusal
from tests.fakes.workspace.state import Asked, State, got

Handler = Callable[[State, Asked], Record | Answer]


def list_project_files(state: State, asked: Asked) -> Record:
    folder = state.project(asked.ids).folder
    return files.listing(folder, asked.ids["path"], hides_dots=state.settings.hides_dots)


def download_project_file(state: State, asked: Asked) -> Answer:
    return files.download(state.project(asked.ids).folder, asked.ids["path"])


def delete_project_file(state: State, asked: Asked) -> Record:
    return files.delete(state.project(asked.ids).folder, asked.ids["path"])


def upload_file(state: State, asked: Asked) -> Record:
    return files.upload(state.project(asked.ids).folder, asked.request)


def create_model_deployment(state: State, asked: Asked) -> Record:
    build = models.build_of(state, asked.ids)
    if build["status"] != "built":
        raise Refusal(400, f"model build {build['id']} is {build['status']}, not built")
    return deployments.deploy(state, build, asked.body)


def list_model_deployments(state: State, asked: Asked) -> Record:
    build = models.look(state, models.build_of(state, asked.ids))
    found = [deployments.look(state, each) for each in deployments.of(state, build)]
    return listed("ListModelDeploymentsResponse", found, asked.query, state.settings.substring)


def get_model_deployment(state: State, asked: Asked) -> Record:
    return deployments.look(state, _deployment(state, asked))


def restart_model_deployment(state: State, asked: Asked) -> Record:
    return deployments.restart(state, _deployment(state, asked))


def stop_model_deployment(state: State, asked: Asked) -> Record:
    return deployments.stop(state, _deployment(state, asked))


def _deployment(state: State, asked: Asked) -> Deployment:
    build = models.build_of(state, asked.ids)
    found = got(state.deployments, asked.ids["deployment_id"], "model deployment")
    if found.record["build_id"] != build["id"]:
        raise Refusal(404, f"model deployment {found.id} was not found")
    return found


METHODS: tuple[Handler, ...] = (
    jobs.get_project, jobs.list_projects, jobs.list_jobs, jobs.get_job, jobs.create_job, jobs.update_job,
    jobs.delete_job, jobs.create_job_run, jobs.get_job_run, jobs.list_job_runs, jobs.stop_job_run,
    models.create_model, models.list_models, models.get_model, models.delete_model, models.update_model,
    models.create_model_build, models.get_model_build, models.list_model_builds, models.delete_model_build,
    create_model_deployment, get_model_deployment, list_model_deployments, restart_model_deployment,
    stop_model_deployment,
    registry.create_registered_model, registry.list_registered_models, registry.get_registered_model,
    registry.get_registered_model_version, registry.delete_registered_model,
    upload_file, download_project_file, list_project_files, delete_project_file,
    experiments.list_runtimes, experiments.list_all_accelerator_node_labels, experiments.list_workload_status,
    experiments.create_experiment, experiments.list_experiments, experiments.get_experiment,
    experiments.create_experiment_run, experiments.list_experiment_runs, experiments.get_experiment_run,
)  # fmt: skip
HANDLERS: dict[str, Handler] = {each.__name__: each for each in METHODS}
