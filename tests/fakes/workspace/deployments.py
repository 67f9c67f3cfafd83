"""Deployments of models. A deployment goes one step on whenever it is looked at.

The words are those of Cloudera's own clients: ``pending``, ``deploying``, ``deployed``, ``failed``, ``stopping``,
``stopped``. Of one model one deployment runs: when a new one is there, the one before is stopped.
"""

from __future__ import annotations

import json

from tests.fakes.workspace.endpoint import Deployment
from tests.fakes.workspace.facts import Record, record
from tests.fakes.workspace.jobs import workload
from tests.fakes.workspace.state import USER, State

LIVE = frozenset({"pending", "deploying", "deployed"})


def of(state: State, build: Record) -> list[Deployment]:
    return [each for each in state.deployments.values() if each.record["build_id"] == build["id"]]


def deploy(state: State, build: Record, body: Record) -> Record:
    id, now = state.new_id(), state.now()
    project = state.models[build["model_id"]]["project"]["public_identifier"]
    shown = record(
        "ModelDeployment", id=id, project_id=project, model_id=build["model_id"], build_id=build["id"],
        cpu=body.get("cpu") or 1.0, memory=body.get("memory") or 2.0, nvidia_gpu=body.get("nvidia_gpus") or 0,
        environment=json.dumps(body.get("environment") or {}), created_at=now, updated_at=now, deployer=USER,
        crn=f"crn:model-deployment:{id}", status="pending", replicas=body.get("replicas") or 1,
    )  # fmt: skip
    state.deployments[id] = Deployment(shown, state.scratch / f"{id}.log")
    return shown


def look(state: State, deployment: Deployment) -> Record:
    """Let a deployment go one step on."""
    before = deployment.status
    match before:
        case "pending":
            _begin(state, deployment)
        case "deploying":
            deployment.enter(deployment.outcome(state.settings.deployments))
        case "deployed" if deployment.process and deployment.process.poll() is not None:
            deployment.enter("failed")
        case "stopping":
            deployment.enter("stopped")
    if deployment.status != before:
        deployment.record["updated_at"] = state.now()
        if deployment.status == "deployed":
            _stop_others(state, deployment)
    return deployment.record


def _begin(state: State, deployment: Deployment) -> None:
    deployment.enter("deploying")
    if state.settings.endpoints:
        build = state.builds[deployment.record["build_id"]]
        project = state.projects[deployment.record["project_id"]]
        environment = json.loads(deployment.record["environment"])
        variables = workload(state, project, deployment.record, environment)
        deployment.start(project.folder, build["file_path"], build["function_name"], variables)


def _stop_others(state: State, deployment: Deployment) -> None:
    for each in state.deployments.values():
        if each.record["model_id"] == deployment.record["model_id"] and each is not deployment and each.status in LIVE:
            stop(state, each)
            each.enter("stopped")


def stop(state: State, deployment: Deployment) -> Record:
    if deployment.status in LIVE | {"failed"}:
        deployment.close()
        deployment.enter("stopping")
        deployment.record["stopped_at"] = deployment.record["updated_at"] = state.now()
    return deployment.record


def restart(state: State, deployment: Deployment) -> Record:
    deployment.close()
    deployment.enter("pending")
    deployment.record |= {"updated_at": state.now(), "stopped_at": None}
    return deployment.record
