"""Models of the workspace: built and deployed step by step, and really called; experiments, labels and runtimes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.fakes import generate_cmlapi
from tests.fakes.cml_server import Workspace, workspace
from tests.fakes.test_cml_server import status_of
from tests.fakes.workspace import facts
from tests.fakes.workspace.methods import HANDLERS
from tests.fakes.workspace.registry import logged, registered_model

PREDICT = "import os\n\ndef predict(request):\n    return {'text': os.environ['VOICE'] + request['prompt']}\n"


@pytest.fixture
def cml(tmp_path: Path) -> Iterator[Workspace]:
    (tmp_path / "predict.py").write_text(PREDICT)
    with workspace(tmp_path, environment={"VOICE": "I say "}, endpoints=True) as running:
        yield running


def create(cml: Workspace, name: str = "desk", **more: Any) -> Any:
    import cmlapi

    return cml.client.create_model(cmlapi.CreateModelRequest(name=name, **more), cml.project_id)


def build(cml: Workspace, model: Any, file: str = "predict.py") -> Any:
    """A build that is at its end."""
    import cmlapi

    request = cmlapi.CreateModelBuildRequest(file_path=file, function_name="predict", runtime_identifier="python")
    made = cml.client.create_model_build(request, cml.project_id, model.id)
    assert made.status == "pending"
    return until(lambda: cml.client.get_model_build(cml.project_id, model.id, made.id), "built", "build failed")


def deploy(cml: Workspace, build: Any, **more: Any) -> Any:
    """A deployment that is at its end."""
    import cmlapi

    ids = (cml.project_id, build.model_id, build.id)
    made = cml.client.create_model_deployment(cmlapi.CreateModelDeploymentRequest(**more), *ids)
    assert made.status == "pending"
    return until(lambda: cml.client.get_model_deployment(*ids, made.id), "deployed", "failed")


def until(look: Callable[[], Any], *statuses: str) -> Any:
    end = time.monotonic() + 20
    while (found := look()).status not in statuses:
        assert time.monotonic() < end, found
        time.sleep(0.01)
    return found


def call(cml: Workspace, model: Any, prompt: Any, key: str = "") -> tuple[int, Any]:
    body = json.dumps({"accessKey": model.access_key, "request": prompt}).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key or cml.key}"}
    try:
        with urlopen(Request(f"{cml.url}/model", body, headers), timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def test_a_deployment_serves_the_function_of_the_model_s_file(cml: Workspace) -> None:
    model = create(cml)
    assert call(cml, model, {"prompt": "hello"})[0] == 503
    deployed = deploy(cml, build(cml, model), environment={"VOICE": "You say "}, nvidia_gpus=1, replicas=2)
    assert (deployed.status, deployed.nvidia_gpu, deployed.replicas) == ("deployed", 1, 2)
    status, answer = call(cml, model, {"prompt": "hello"})
    assert (status, answer["response"]) == (200, {"text": "You say hello"})
    status, answer = call(cml, model, {})
    assert status == 500 and "KeyError: 'prompt'" in answer["errors"]
    assert call(cml, model, {"prompt": "hello"}, key="revoked")[0] == 401
    assert cml.count("model") == 4


def test_a_new_deployment_takes_the_place_of_the_one_before(cml: Workspace) -> None:
    built = build(cml, model := create(cml))
    first, second = deploy(cml, built), deploy(cml, built)
    ids = (cml.project_id, model.id, built.id)
    assert cml.client.get_model_deployment(*ids, first.id).status == "stopped"
    assert cml.client.stop_model_deployment(*ids, second.id).status == "stopping"
    assert until(lambda: cml.client.get_model_deployment(*ids, second.id), "stopped").stopped_at
    assert call(cml, model, {"prompt": "hello"})[0] == 503
    cml.client.restart_model_deployment(*ids, second.id)
    assert until(lambda: cml.client.get_model_deployment(*ids, second.id), "deployed").stopped_at is None
    assert call(cml, model, {"prompt": "hello"})[0] == 200
    cml.client.delete_model(cml.project_id, model.id)
    assert not cml.state.deployments and not cml.state.builds and call(cml, model, {})[0] == 401


def test_what_cannot_be_built_or_imported_fails(cml: Workspace, tmp_path: Path) -> None:
    model = create(cml)
    missing = build(cml, model, "nothing.py")
    assert missing.status == "build failed"
    assert status_of(cml.client.create_model_deployment, {}, cml.project_id, model.id, missing.id) == 400
    (tmp_path / "broken.py").write_text("import nothing_of_that_name")
    assert deploy(cml, build(cml, model, "broken.py")).status == "failed"


def test_a_model_may_build_and_deploy_itself(cml: Workspace) -> None:
    config = {"file_path": "predict.py", "function_name": "predict", "runtime_identifier": "python"}
    resources = {"cpu": 2, "environment": {"VOICE": "It says "}}
    automatic = {"auto_build_config": config, "auto_deployment_config": resources, "disable_authentication": True}
    model = create(cml, auto_build_model=True, auto_deploy_model=True, **automatic)
    (built,) = cml.client.list_model_builds(cml.project_id, model.id).model_builds
    ids = (cml.project_id, model.id, built.id)
    until(lambda: cml.client.get_model_build(*ids), "built")
    (deployment,) = cml.client.list_model_deployments(*ids).model_deployments
    until(lambda: cml.client.get_model_deployment(*ids, deployment.id), "deployed")
    assert deployment.cpu == 2
    assert call(cml, model, {"prompt": "hello"}, key="none")[1]["response"] == {"text": "It says hello"}


def test_a_test_decides_how_builds_and_deployments_end_without_processes(tmp_path: Path) -> None:
    (tmp_path / "predict.py").write_text(PREDICT)
    with workspace(tmp_path, builds="build failed", deployments="failed") as cml:
        model = create(cml)
        assert build(cml, model).status == "build failed"
        cml.state.settings.builds = "built"
        assert deploy(cml, build(cml, model)).status == "failed"


def test_a_model_is_changed_in_place_and_its_name_is_its_own(cml: Workspace) -> None:
    import cmlapi

    model = create(cml)
    assert status_of(create, cml) == 409
    change = cmlapi.UpdateSingleModel(description="new", default_resources=cmlapi.DefaultResources(nvidia_gpus="2"))
    changed = cml.client.update_model(change, cml.project_id, model.id)
    assert (changed.description, changed.name, changed.default_resources.nvidia_gpus) == ("new", "desk", "2")
    assert status_of(create, cml, "other", accelerator_label_id="99") == 400
    assert [each.name for each in cml.client.list_models(cml.project_id).models] == ["desk"]


def test_a_model_that_is_registered_again_gets_a_version_more(cml: Workspace) -> None:
    import cmlapi

    def register(run: str) -> Any:
        request = cmlapi.CreateRegisteredModelRequest(
            project_id=cml.project_id, experiment_id="7", run_id=run, model_name="desk", model_path="model",
            visibility="PRIVATE", tags=[cmlapi.Tag("task", "chat")],
        )  # fmt: skip
        return cml.client.create_registered_model(request)

    first, second = register("feed"), register("beef")
    assert first.model_id == second.model_id and first.model_versions[0].number == 1
    found = cml.client.get_registered_model(first.model_id)
    assert [each.model_version_metadata.mlflow_metadata.run_id for each in found.model_versions] == ["feed", "beef"]
    version = cml.client.get_registered_model_version(first.model_id, second.model_versions[0].model_version_id)
    assert (version.number, version.tags[0].value) == (2, "chat")
    assert [each.count for each in cml.client.list_registered_models().models] == [2]
    cml.client.delete_registered_model(first.model_id)
    assert status_of(cml.client.get_registered_model, first.model_id) == 404


def test_a_workspace_may_have_no_registry(tmp_path: Path) -> None:
    with workspace(tmp_path, registered_model("a", logged()), no_registry=404) as cml:
        assert status_of(cml.client.get_registered_model, "a") == 404
        assert status_of(cml.client.list_registered_models) == 404


def test_experiments_labels_runtimes_and_statuses_are_listed(cml: Workspace) -> None:
    import cmlapi

    client, project = cml.client, cml.project_id
    experiment = client.create_experiment(cmlapi.CreateExperimentRequest(name="desk"), project)
    assert status_of(client.create_experiment, {"name": "desk"}, project) == 409
    run = client.create_experiment_run(cmlapi.CreateExperimentRunRequest(), project, experiment.id)
    assert client.get_experiment_run(project, experiment.id, run.id).status == "EXPERIMENT_RUN_RUNNING"
    assert [each.id for each in client.list_experiment_runs(project, experiment.id).experiment_runs] == [run.id]
    assert [each.name for each in client.list_experiments(project).experiments] == ["desk"]
    assert client.get_experiment(project, experiment.id).lifecycle_stage == "active"
    labels = client.list_all_accelerator_node_labels(search_filter=json.dumps({"label_value": "Tesla-T4"}))
    assert [each.id for each in labels.accelerator_node_label] == ["2"]
    assert len(client.list_runtimes().runtimes) == 2
    assert "succeeded" in client.list_workload_status().workload_status


def test_every_method_of_the_api_is_there(cml: Workspace) -> None:
    assert set(HANDLERS) == set(facts.FACTS["methods"]) and len(HANDLERS) == 43
    assert all(callable(getattr(cml.client, name)) for name in HANDLERS)


def test_the_stand_in_of_the_client_is_what_the_facts_generate() -> None:
    for path, text in generate_cmlapi.texts(facts.FACTS).items():
        assert path.read_text("utf-8") == text, f"run python tests/fakes/generate_cmlapi.py: {path.name} is old"
