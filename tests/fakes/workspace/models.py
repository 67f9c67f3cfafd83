"""Models and their builds. A build goes one step on whenever it is looked at.

The words are those of Cloudera's own clients: a build is ``pending``, ``building``, ``built`` or ``build failed``.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.fakes.workspace import deployments
from tests.fakes.workspace.facts import Record, record
from tests.fakes.workspace.files import inside
from tests.fakes.workspace.jobs import expect_label
from tests.fakes.workspace.listing import listed
from tests.fakes.workspace.refusal import Refusal
from tests.fakes.workspace.state import USER, Asked, State, got


def get_model(state: State, asked: Asked) -> Record:
    return _model(state, asked.ids)


def _model(state: State, ids: Mapping[str, str]) -> Record:
    project = state.project(ids).record["id"]
    model = got(state.models, ids["model_id"], "model")
    if model["project"]["public_identifier"] != project:
        raise Refusal(404, f"model {model['id']} was not found")
    return model


def list_models(state: State, asked: Asked) -> Record:
    found = _models(state, state.project(asked.ids).record["id"])
    return listed("ListModelsResponse", found, asked.query, state.settings.substring)


def _models(state: State, project: str) -> list[Record]:
    return [each for each in state.models.values() if each["project"]["public_identifier"] == project]


def create_model(state: State, asked: Asked) -> Record:
    """Of one name there is one model in a project."""
    project, body, now, id = state.project(asked.ids).record, asked.body, state.now(), state.new_id()
    if not body.get("name"):
        raise Refusal(400, "invalid model: name is required")
    if any(each["name"] == body["name"] for each in _models(state, project["id"])):
        raise Refusal(409, f"a model named {body['name']} already exists in this project")
    _expect_known(state, body)
    names = ("description", "visibility", "registered_model_id", "run_as", "accelerator_label_id")
    model = record("Model", visibility="private") | {
        "id": id, "name": body["name"], "creator": USER, "created_at": now, "updated_at": now, "crn": f"crn:model:{id}",
        "access_key": f"m{state.new_id()}{state.new_id()}".replace("-", ""),
        "auth_enabled": not body.get("disable_authentication"),
        "project": record(
            "ShortProject", public_identifier=project["id"], name=project["name"], slug=f"tests/{project['name']}"
        ),
        **{name: body[name] for name in names if body.get(name)},
    }  # fmt: skip
    state.models[id] = model
    if body.get("auto_build_model"):
        then = {name: body.get(name) for name in ("auto_deploy_model", "auto_deployment_config")}
        _build(state, model, {**(body.get("auto_build_config") or {}), **then})
    return model


def _expect_known(state: State, body: Mapping[str, str]) -> None:
    expect_label(state, body)
    if registered := body.get("registered_model_id"):
        got(state.registered, registered, "registered model")


def update_model(state: State, asked: Asked) -> Record:
    model = _model(state, asked.ids)
    _expect_known(state, asked.body)
    model |= {name: value for name, value in asked.body.items() if name != "id" and value is not None}
    model["updated_at"] = state.now()
    return model


def delete_model(state: State, asked: Asked) -> Record:
    """With all its builds and deployments."""
    model = _model(state, asked.ids)
    for build in _builds(state, model):
        _delete(state, build)
    del state.models[model["id"]]
    return {}


def create_model_build(state: State, asked: Asked) -> Record:
    return _build(state, _model(state, asked.ids), asked.body)


def _build(state: State, model: Record, body: Record) -> Record:
    if not body.get("registered_model_version_id") and not (body.get("file_path") and body.get("function_name")):
        raise Refusal(400, "invalid model build: file_path and function_name are required")
    if not body.get("runtime_identifier") and not body.get("kernel"):
        raise Refusal(400, "invalid model build: runtime_identifier is required in a project of ML runtimes")
    id, now = state.new_id(), state.now()
    names = ("comment", "file_path", "function_name", "kernel", "runtime_identifier", "runtime_addon_identifiers",
             "registered_model_version_id")  # fmt: skip
    build = record(
        "ModelBuild", id=id, model_id=model["id"], creator=USER, created_at=now, updated_at=now, status="pending",
        crn=f"crn:model-build:{id}", **{name: body[name] for name in names if body.get(name)},
    )  # fmt: skip
    state.builds[id] = build
    if body.get("auto_deploy_model"):
        state.automatic[id] = body.get("auto_deployment_config") or {}
    return build


def get_model_build(state: State, asked: Asked) -> Record:
    return look(state, build_of(state, asked.ids))


def build_of(state: State, ids: Mapping[str, str]) -> Record:
    model = _model(state, ids)
    build = got(state.builds, ids["build_id"], "model build")
    if build["model_id"] != model["id"]:
        raise Refusal(404, f"model build {build['id']} was not found")
    return build


def look(state: State, build: Record) -> Record:
    """Let a build go one step on; one that is built may deploy itself."""
    if build["status"] == "building":
        build |= {"status": _outcome(state, build), "updated_at": state.now()}
        if build["status"] == "built":
            build["built_at"] = build["updated_at"]
    elif build["status"] == "pending":
        build["status"] = "building"
    if build["status"] == "built" and build["id"] in state.automatic:
        deployments.deploy(state, build, state.automatic.pop(build["id"]))
    return build


def _outcome(state: State, build: Record) -> str:
    """A build of a file that is not there fails."""
    folder = state.projects[state.models[build["model_id"]]["project"]["public_identifier"]].folder
    there = not build["file_path"] or inside(folder, build["file_path"]).is_file()
    return state.settings.builds if there else "build failed"


def list_model_builds(state: State, asked: Asked) -> Record:
    found = [look(state, each) for each in _builds(state, _model(state, asked.ids))]
    return listed("ListModelBuildsResponse", found, asked.query, state.settings.substring)


def _builds(state: State, model: Record) -> list[Record]:
    return [each for each in state.builds.values() if each["model_id"] == model["id"]]


def delete_model_build(state: State, asked: Asked) -> Record:
    _delete(state, build_of(state, asked.ids))
    return {}


def _delete(state: State, build: Record) -> None:
    for each in deployments.of(state, build):
        each.close()
        del state.deployments[each.id]
    del state.builds[build["id"]]
