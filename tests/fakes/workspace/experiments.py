"""Experiments and their runs, and the lists that a workspace has for all: runtimes, GPU labels, statuses."""

from __future__ import annotations

from collections.abc import Mapping

from tests.fakes.workspace.facts import MODELS, Record, record
from tests.fakes.workspace.listing import listed
from tests.fakes.workspace.refusal import Refusal
from tests.fakes.workspace.state import USER, Asked, State, got

LONG_AGO = "2026-01-01T00:00:00Z"


def label(id: str, value: str, available: bool = True) -> Record:
    """A kind of GPU that workloads may ask for."""
    return record(
        "AcceleratorNodeLabel", id=id, label_key="nvidia.com/gpu.product", label_value=value, availability=available,
        max_gpu_count="8", current_gpu_count="8", max_gpu_per_workload="4", created_at=LONG_AGO, updated_at=LONG_AGO,
    )  # fmt: skip


def runtime(identifier: str, edition: str = "Standard") -> Record:
    return record(
        "Runtime", image_identifier=identifier, editor="PBJ Workbench", kernel="Python 3.11", edition=edition,
        full_version="2026.01.1-b1", status="ENABLED",
    )  # fmt: skip


LABELS = (label("1", "NVIDIA-A100-SXM4-80GB"), label("2", "Tesla-T4"))
RUNTIMES = (
    runtime("registry.example/ml-runtime-pbj-workbench-python3.11-cuda:2026.01.1-b1", "Nvidia GPU"),
    runtime("registry.example/ml-runtime-pbj-workbench-python3.11-standard:2026.01.1-b1"),
)


def list_all_accelerator_node_labels(state: State, asked: Asked) -> Record:
    answer = "ListAllAcceleratorsNodeLabelsResponse"
    return listed(answer, state.labels, asked.query, state.settings.substring)


def list_runtimes(state: State, asked: Asked) -> Record:
    return listed("ListRuntimesResponse", RUNTIMES, asked.query, state.settings.substring)


def list_workload_status(state: State, asked: Asked) -> Record:
    names = MODELS["EngineStatus"]["enum"]
    return {"workload_status": [name.removeprefix("ENGINE_").lower() for name in names]}


def _experiment(state: State, ids: Mapping[str, str]) -> Record:
    project = state.project(ids).record["id"]
    found = got(state.experiments, ids["experiment_id"], "experiment")
    if found["project_id"] != project:
        raise Refusal(404, f"experiment {found['id']} was not found")
    return found


def create_experiment(state: State, asked: Asked) -> Record:
    project, name, now = state.project(asked.ids).record["id"], asked.body.get("name"), state.now()
    if not name:
        raise Refusal(400, "invalid experiment: name is required")
    if any((each["project_id"], each["name"]) == (project, name) for each in state.experiments.values()):
        raise Refusal(409, f"an experiment named {name} already exists in this project")
    id = state.new_id()
    state.experiments[id] = record(
        "Experiment", id=id, project_id=project, name=name, created_at=now, updated_at=now, lifecycle_stage="active",
        artifact_location=asked.body.get("artifact_location") or f"/home/cdsw/.experiments/{id}", user=USER,
        tags=asked.body.get("tags") or [],
    )  # fmt: skip
    return state.experiments[id]


def list_experiments(state: State, asked: Asked) -> Record:
    project = state.project(asked.ids).record["id"]
    found = [each for each in state.experiments.values() if each["project_id"] == project]
    return listed("ListExperimentsResponse", found, asked.query, state.settings.substring)


def get_experiment(state: State, asked: Asked) -> Record:
    return _experiment(state, asked.ids)


def create_experiment_run(state: State, asked: Asked) -> Record:
    experiment, id = _experiment(state, asked.ids), state.new_id()
    state.experiment_runs[id] = record(
        "ExperimentRun", id=id, experiment_id=experiment["id"], user=USER, status="EXPERIMENT_RUN_RUNNING",
        start_time=state.now(), artifact_uri=f"{experiment['artifact_location']}/{id}/artifacts",
        data=record("ExperimentRunData", tags=asked.body.get("tags") or []),
    )  # fmt: skip
    return state.experiment_runs[id]


def list_experiment_runs(state: State, asked: Asked) -> Record:
    experiment = _experiment(state, asked.ids)["id"]
    found = [each for each in state.experiment_runs.values() if each["experiment_id"] == experiment]
    return listed("ListExperimentRunsResponse", found, asked.query, state.settings.substring)


def get_experiment_run(state: State, asked: Asked) -> Record:
    experiment = _experiment(state, asked.ids)["id"]
    found = got(state.experiment_runs, asked.ids["run_id"], "experiment run")
    if found["experiment_id"] != experiment:
        raise Refusal(404, f"experiment run {found['id']} was not found")
    return found
