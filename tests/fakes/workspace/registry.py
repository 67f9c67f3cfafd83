"""The registry of models: a model is what has a name, its versions are what was registered under it."""

from __future__ import annotations

from typing import Any

from tests.fakes.workspace.facts import MODELS, Record, record
from tests.fakes.workspace.listing import listed
from tests.fakes.workspace.refusal import Refusal
from tests.fakes.workspace.state import USER, Asked, State, got

MODEL_ID = "abcd-1234-efgh-5678"
LONG_AGO = "2026-01-01T00:00:00Z"


def registered_model(id: str, *versions: Record, name: str = "support-llama", at: str = LONG_AGO) -> Record:
    """A RegisteredModel with these versions."""
    return record(
        "RegisteredModel", model_id=id, name=name, owner=USER, permission="MANAGE", created_at=at, updated_at=at,
        count=len(versions), model_versions=[version(id, n, at, **each) for n, each in enumerate(versions, 1)],
    )  # fmt: skip


def version(model: str, number: int, at: str = LONG_AGO, **values: Any) -> Record:
    given = {
        "model_id": model, "model_version_id": f"{model}-v{number}", "version_name": f"v{number}", "number": number,
        "user": USER, "status": "REGISTERED", "created_at": at, "updated_at": at,
    }  # fmt: skip
    return record("RegisteredModelVersion", **given | values)


def logged(experiment: str = "7", run: str = "0123456789abcdef0123456789abcdef") -> Record:
    """What a version has that was logged with MLflow."""
    ids = record("MLflowMetadata", experiment_id=experiment, run_id=run)
    return {"model_version_metadata": record("ModelVersionMetadata", mlops_type="MLFLOW", mlflow_metadata=ids)}


def create_registered_model(state: State, asked: Asked) -> Record:
    """A new version of the model of that name, or a new model: a request that arrives twice makes two versions."""
    _there(state)
    body, now = asked.body, state.now()
    for name in ("project_id", "experiment_id", "run_id", "model_name", "model_path"):
        if not body.get(name):
            raise Refusal(400, f"invalid model: {name} is required")
    found = [each for each in state.registered.values() if each["name"] == body["model_name"]]
    model = found[0] if found else registered_model(state.new_id(), name=body["model_name"], at=now)
    if not found:
        model |= {name: body[name] for name in ("description", "visibility") if body.get(name)}
        state.registered[model["model_id"]] = model
    number = max((each["number"] for each in model["model_versions"]), default=0) + 1
    ids = record("MLflowMetadata", experiment_id=body["experiment_id"], run_id=body["run_id"])
    metadata = record("ModelVersionMetadata", mlops_type="MLFLOW", workspace_url=state.url, owner=USER,
                      project_id=body["project_id"], mlflow_metadata=ids)  # fmt: skip
    made = version(model["model_id"], number, now, notes=body.get("notes") or "", tags=body.get("tags") or [],
                   model_version_metadata=metadata)  # fmt: skip
    model["model_versions"].append(made)
    model |= {"count": len(model["model_versions"]), "updated_at": now}
    return model | {"model_versions": [made]}


def _there(state: State) -> None:
    if state.settings.no_registry:
        raise Refusal(state.settings.no_registry, "the model registry is not enabled in this workspace")


def list_registered_models(state: State, asked: Asked) -> Record:
    _there(state)
    found = [{name: each[name] for name in MODELS["RegisteredModelDetails"]} for each in state.registered.values()]
    return listed("ListRegisteredModelsResponse", found, asked.query, state.settings.substring)


def _model(state: State, asked: Asked) -> Record:
    _there(state)
    return got(state.registered, asked.ids["model_id"], "registered model")


def get_registered_model(state: State, asked: Asked) -> Record:
    """With a page of its versions."""
    model = _model(state, asked)
    return model | listed("RegisteredModel", model["model_versions"], asked.query, state.settings.substring)


def get_registered_model_version(state: State, asked: Asked) -> Record:
    versions = {each["model_version_id"]: each for each in _model(state, asked)["model_versions"]}
    return dict(got(versions, asked.ids["version_id"], "registered model version"))


def delete_registered_model(state: State, asked: Asked) -> Record:
    del state.registered[_model(state, asked)["model_id"]]
    return {}
