"""Endpoints, from the manifest to a workspace and back: deployed once, changed in place, replaced, withdrawn."""

from __future__ import annotations

import json

import pytest

from studio.core.endpoint import DeploymentOutput, EndpointSize
from tests.backends.workspace.places import RUNTIME
from tests.endpoints.desk import REVISION, SERVE, Desk, documents
from tests.fakes.workspace import faults


def test_an_export_becomes_an_endpoint_and_the_next_plan_is_empty(desk: Desk) -> None:
    told = desk.apply()
    print(told)
    assert "is deploying" in told
    [model], [build], [deployment] = desk.models(), desk.builds(), desk.deployments()
    assert model["name"] == "router" and model["auth_enabled"]
    assert (build["file_path"], build["function_name"]) == ("cml/predict.py", "predict")
    assert build["runtime_identifier"] == RUNTIME
    assert (deployment["cpu"], deployment["memory"], deployment["nvidia_gpu"], deployment["replicas"]) == (2, 8, 1, 1)
    assert desk.variables()["FINE_TUNING_STUDIO_BASE_MODEL_HF_NAME"] == f"acme/tiny@{REVISION}"
    assert desk.variables()["ADAPTER_LOCATION"] == "adapters/router"
    assert isinstance(json.loads(desk.variables()["GEN_CONFIG_STRING"]), dict)
    assert "Nothing to do" in desk.plan()


def test_what_is_recorded_names_the_key_and_never_holds_it(desk: Desk) -> None:
    desk.apply()
    output = DeploymentOutput.model_validate(desk.served())
    [model] = desk.models()
    assert output.url == f"{desk.cml.url.replace('://', '://modelservice.')}/model"
    assert output.access_key.startswith("accessKey of the model router") and output.authentication
    assert (output.model_id, output.size.replicas) == (model["id"], 1)
    everywhere = json.dumps(desk.record()) + desk.ask("show", str(SERVE)).out + desk.ask("state", "export").out
    assert model["access_key"] not in everywhere and desk.cml.key not in everywhere


def test_show_has_what_callers_need(desk: Desk) -> None:
    desk.apply()
    made = desk.served()
    said = desk.ask("show", str(SERVE)).out
    assert made["url"] in said and made["access_key"] in said and made["page"] in said
    assert "a model API key of their own" in said and str(EndpointSize(**made["size"])) in said


def test_a_plan_tells_the_replicas(desk: Desk) -> None:
    desk.write(*documents(replicas=2))
    assert "2 replicas" in desk.plan() and "workers" not in desk.plan()


def test_resources_are_changed_in_place(desk: Desk) -> None:
    desk.apply()
    before = desk.served()
    desk.write(*documents(num_memory=16, replicas=2))
    plan = desk.plan()
    assert "because spec.num_memory" in plan and "update in place: the same build is deployed anew" in plan
    desk.apply()
    after = desk.served()
    assert [each["id"] for each in desk.builds()] == [before["build_id"]] == [after["build_id"]]
    assert after["deployment_id"] != before["deployment_id"] and after["size"]["memory"] == 16
    assert (desk.up()["memory"], desk.up()["replicas"]) == (16, 2)
    [model] = desk.models()
    assert model["default_resources"] == {"cpu_millicores": "2000", "memory_mb": "16384", "nvidia_gpus": "1"}
    assert model["default_replication_policy"]["num_replicas"] == "2"
    assert "Nothing to do" in desk.plan()


def test_a_description_is_said_in_place_and_nothing_is_deployed(desk: Desk) -> None:
    desk.apply()
    before = desk.served()
    desk.write(*documents(model_description="Routes tickets"))
    desk.apply()
    assert desk.models()[0]["description"] == "Routes tickets"
    assert len(desk.deployments()) == 1 and desk.served()["deployment_id"] == before["deployment_id"]
    assert "Nothing to do" in desk.plan()


def test_another_configuration_is_another_build_of_the_same_endpoint(desk: Desk) -> None:
    desk.apply()
    before = desk.served()
    desk.write(*documents(generation_config={"do_sample": False, "max_new_tokens": 7}))
    assert "replace" in desk.plan()
    desk.apply()
    after = desk.served()
    assert (after["model_id"], after["url"]) == (before["model_id"], before["url"])
    assert [each["id"] for each in desk.builds()] == [after["build_id"]] != [before["build_id"]]
    assert json.loads(desk.variables()["GEN_CONFIG_STRING"])["max_new_tokens"] == 7
    desk.write()
    assert "reuse" not in desk.plan()
    desk.apply()
    assert desk.served()["build_id"] not in (before["build_id"], after["build_id"])
    assert "Nothing to do" in desk.plan()


def test_the_old_build_serves_until_the_new_one_is_up(desk: Desk) -> None:
    desk.apply()
    before = desk.served()
    object.__setattr__(desk.cml.state.settings, "builds", "build failed")
    desk.write(*documents(generation_config={"max_new_tokens": 7}))
    told = desk.apply(code=1)
    assert "the build ended as 'build failed'" in told and "/models/" in told
    assert desk.up()["build_id"] == before["build_id"]
    assert desk.record()["status"] == "failed" and desk.served()["build_id"] == before["build_id"]
    object.__setattr__(desk.cml.state.settings, "builds", "built")
    assert "retry" in desk.plan()
    desk.apply()
    assert [each["id"] for each in desk.builds()] == [desk.served()["build_id"]]
    assert desk.served()["model_id"] == before["model_id"]


def test_another_name_is_another_endpoint_and_the_one_before_goes_when_it_is_up(desk: Desk) -> None:
    desk.apply()
    desk.write(*documents(model_name="router-2"))
    desk.apply()
    assert [each["name"] for each in desk.models()] == ["router-2"]
    assert desk.up()["model_id"] == desk.served()["model_id"] == desk.models()[0]["id"]
    assert "Nothing to do" in desk.plan()


def test_a_renamed_export_keeps_its_endpoint_and_its_build(desk: Desk) -> None:
    desk.apply()
    before = desk.served()
    *others, export = documents()
    export["metadata"] = {"name": "answers", "renamed_from": "serve"}
    desk.write(*others, export)
    desk.apply()
    assert [each["id"] for each in desk.models()] == [before["model_id"]] and len(desk.builds()) == 1
    export["spec"]["generation_config"] = {"max_new_tokens": 7}
    desk.write(*others, export)
    desk.apply()
    assert [each["id"] for each in desk.models()] == [before["model_id"]]


def test_authentication_cannot_be_changed_so_the_endpoint_is_made_anew(desk: Desk) -> None:
    desk.apply()
    before = desk.served()
    desk.write(*documents(enable_authentication=False))
    assert "the endpoint is deleted and made anew, with another access key" in desk.plan()
    assert "EX-017" in desk.ask("validate").out
    desk.apply()
    [model] = desk.models()
    assert not model["auth_enabled"] and model["id"] != before["model_id"]
    assert desk.served()["authentication"] is False and "Nothing to do" in desk.plan()


@pytest.mark.parametrize("gone", [False, True])
def test_destroy_takes_the_endpoint_away_even_if_somebody_was_faster(desk: Desk, gone: bool) -> None:
    desk.apply()
    if gone:
        desk.cml.client.delete_model(desk.cml.project_id, desk.served()["model_id"])
    answer = desk.ask("destroy", "--yes")
    assert answer.code == 0, answer.out + answer.err
    assert desk.models() == [] and desk.deployments() == []
    assert desk.ask("state", "list").out.strip() in (
        "",
        "Nothing is recorded yet. 'studio apply' makes the first records.",
    )


def test_an_endpoint_whose_first_build_failed_can_be_taken_away(desk: Desk) -> None:
    object.__setattr__(desk.cml.state.settings, "builds", "build failed")
    desk.apply(code=1)
    assert len(desk.models()) == 1
    assert desk.ask("destroy", "--yes").code == 0
    assert desk.models() == []


def test_a_deletion_that_is_refused_keeps_the_record(desk: Desk) -> None:
    desk.apply()
    desk.cml.faults.always("delete_model", faults.FORBIDDEN)
    answer = desk.ask("destroy", "--yes")
    assert answer.code == 1 and "may not delete the model router" in answer.out + answer.err
    assert "Once that is mended: studio destroy" in answer.out and "studio apply" not in answer.out
    assert "failed" in answer.out and "lost sight" not in answer.out
    assert desk.served()["model_id"] == desk.models()[0]["id"]


def test_drift_is_seen_online_and_mended_in_place(desk: Desk) -> None:
    desk.apply()
    served = desk.served()
    body = {"cpu": 4.0, "memory": 8.0, "nvidia_gpus": 1, "replicas": 1, "environment": desk.variables()}
    client, project = desk.cml.client, desk.cml.project_id
    client.create_model_deployment(body, project, served["model_id"], served["build_id"])
    for _ in range(3):
        client.list_model_deployments(project, served["model_id"], served["build_id"])
    assert "Nothing to do" in desk.plan("--refresh")
    told = desk.ask("drift", "--online")
    assert "the resources of the endpoint router were changed in the workspace" in told.out
    answer = desk.ask("apply", "--yes", "--refresh", "--online")
    assert answer.code == 0, answer.out + answer.err
    assert desk.up()["cpu"] == 2 and len(desk.builds()) == 1
    assert "No drift" in desk.ask("drift", "--online").out
