"""What goes wrong around an endpoint: lost answers, crashes, strangers, stops, and what never comes up."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests import projects
from tests.endpoints.desk import SERVE, Desk, documents, opened
from tests.fakes.cml_server import Workspace
from tests.fakes.workspace import deployments, faults, models
from tests.fakes.workspace.refusal import Refusal
from tests.fakes.workspace.state import State
from tests.fakes.workspace.traffic import asked_again_after_a_refusal
from tests.projects import manifest

EFFECTS = ("create_model", "create_model_build")


@pytest.mark.parametrize("method", EFFECTS)
@pytest.mark.parametrize("fault", [faults.DROPPED, faults.DROPPED_AFTER, faults.TWICE, faults.TRUNCATED])
def test_a_lost_answer_makes_nothing_twice(desk: Desk, method: str, fault: faults.Fault) -> None:
    desk.cml.faults.plan(method, fault, fault)
    desk.apply()
    assert len(desk.models()) == len(desk.builds()) == 1
    assert desk.up()["build_id"] == desk.served()["build_id"]
    assert asked_again_after_a_refusal(desk.cml.calls) == []


@pytest.mark.parametrize("fault", [faults.DROPPED_AFTER, faults.TWICE])
def test_a_lost_answer_about_other_resources_leaves_one_deployment_up(desk: Desk, fault: faults.Fault) -> None:
    desk.apply()
    desk.cml.faults.plan("create_model_deployment", fault)
    desk.write(*documents(num_cpu=4))
    desk.apply()
    assert desk.up()["cpu"] == 4 and desk.up()["id"] == desk.served()["deployment_id"]
    assert "Nothing to do" in desk.plan()


@pytest.mark.parametrize("seed", range(3))
def test_a_third_of_all_calls_fails_and_everything_is_there_once(desk: Desk, seed: int) -> None:
    desk.cml.faults.at_random(0.3, seed=seed)
    desk.apply()
    desk.write(*documents(num_cpu=4, generation_config={"max_new_tokens": 7}))
    desk.apply()
    desk.cml.faults.clear()
    assert len(desk.models()) == len(desk.builds()) == 1
    assert desk.up()["cpu"] == 4 and "Nothing to do" in desk.plan()
    desk.cml.faults.at_random(0.3, seed=seed)
    assert desk.ask("destroy", "--yes").code == 0
    desk.cml.faults.clear()
    assert desk.models() == [] and asked_again_after_a_refusal(desk.cml.calls) == []


def test_a_detached_apply_leaves_an_endpoint_that_goes_up_by_itself(desk: Desk) -> None:
    desk.apply("--detach")
    assert "its job is under way; apply attaches" in desk.plan()
    [build] = desk.builds()
    for _ in range(6):
        desk.cml.client.get_model_build(desk.cml.project_id, build["model_id"], build["id"])
        desk.cml.client.list_model_deployments(desk.cml.project_id, build["model_id"], build["id"])
    assert desk.up()["build_id"] == build["id"], "nobody waited, and it is up all the same"
    assert "attached to the running job" in desk.apply()
    assert len(desk.builds()) == 1 and "Nothing to do" in desk.plan()


def test_an_endpoint_that_is_under_way_is_stopped_by_cancel(desk: Desk) -> None:
    desk.apply("--detach")
    answer = desk.ask("cancel", str(SERVE))
    assert answer.code == 0, answer.out + answer.err
    assert not [each for each in desk.deployments() if each["status"] not in ("stopped", "stopping")]
    desk.apply()
    assert desk.up()["build_id"] == desk.served()["build_id"]


def test_logs_tell_what_was_seen_and_where_there_is_more(desk: Desk) -> None:
    desk.apply()
    told = desk.ask("logs", str(SERVE))
    assert told.code == 0, told.out + told.err
    assert f"/models/{desk.served()['model_id']}" in told.out


@pytest.mark.parametrize(("setting", "status"), [("builds", "pending"), ("deployments", "pending")])
def test_what_never_comes_up_is_given_up_and_stopped(desk: Desk, setting: str, status: str) -> None:
    object.__setattr__(desk.cml.state.settings, setting, status)
    told = desk.apply(code=1)
    assert "and has been for 60 min" in told and "whether CPU, memory and GPUs are free" in told
    assert not [each for each in desk.deployments() if each["status"] not in ("stopped", "stopping")]


def test_a_deployment_that_fails_says_where_its_logs_are(desk: Desk) -> None:
    object.__setattr__(desk.cml.state.settings, "deployments", "failed")
    told = desk.apply(code=1)
    assert "the deployment ended as 'failed'" in told and "read the replicas' logs in" in told


def test_two_environments_share_what_is_the_same_and_none_takes_it_from_the_other(desk: Desk) -> None:
    desk.apply()
    assert "ModelExport/serve: reused" in desk.apply("--env", "prod") and len(desk.builds()) == 1
    desk.write(*documents(generation_config={"max_new_tokens": 7}))
    assert "the model router serves ModelExport/serve in default" in desk.apply("--env", "prod", code=1)
    assert desk.up()["build_id"] == desk.served()["build_id"]
    assert desk.ask("destroy", "--yes", "--env", "prod").code == 0
    assert desk.up()["build_id"] == desk.served()["build_id"], "the other environment still has it"


def test_an_endpoint_of_another_resource_is_not_taken(desk: Desk) -> None:
    desk.apply()
    *others, export = documents(generation_config={"max_new_tokens": 7})
    export["metadata"]["name"] = "another"
    desk.write(*others, export)
    told = desk.apply(code=1)
    assert "the model router serves ModelExport/serve in default" in told and "choose another model_name" in told
    assert desk.up()["build_id"] == desk.builds()[0]["id"] and len(desk.builds()) == 1


def by_hand(cml: Workspace, **more: Any) -> str:
    model = cml.client.create_model({"name": "router", **more}, cml.project_id)
    body = {"file_path": "cml/predict.py", "function_name": "predict", "runtime_identifier": "x", "comment": "mine"}
    cml.client.create_model_build(body, cml.project_id, model.id)
    return str(model.id)


def test_a_model_made_by_hand_is_taken_over_and_keeps_its_own_builds_when_ours_goes(desk: Desk) -> None:
    model = by_hand(desk.cml)
    desk.apply()
    assert desk.served()["model_id"] == model and len(desk.builds()) == 2
    assert desk.ask("destroy", "--yes").code == 0
    assert [each["comment"] for each in desk.builds()] == ["mine"] and len(desk.models()) == 1


def test_a_model_made_by_hand_with_other_authentication_is_refused(desk: Desk) -> None:
    by_hand(desk.cml, disable_authentication=True)
    told = desk.apply(code=1)
    assert "has a model router that does not demand a key, and the API cannot change that" in told
    assert len(desk.models()) == 1


def test_without_a_template_job_the_cure_is_told(desk: Desk) -> None:
    desk.cml.state.jobs.clear()
    told = desk.apply(code=1)
    assert "has no job named Finetuning_Base_Job or Accel_Finetuning_Base_Job" in told and desk.models() == []


def test_an_adapter_that_the_workspace_does_not_have_is_refused_before_anything_is_made(desk: Desk) -> None:
    shutil.rmtree(desk.clone / "adapters")
    told = desk.apply(code=1)
    assert "the adapter adapters/router is not in the workspace, and no MLflow server keeps it" in told
    assert desk.models() == []


def test_an_adapter_that_is_another_one_in_the_workspace_is_not_served(desk: Desk) -> None:
    weights = desk.clone / "adapters" / "router" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    told = desk.apply(code=1)
    assert "adapters/router in the workspace is not the one that was planned" in told and "to this commit" in told
    assert desk.builds() == []


def test_an_adapter_in_a_hidden_folder_is_copied_to_where_builds_find_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was trained lies in .studio, which the snapshot of a build leaves out. The job is a real one."""
    hidden, adapter = ".kept/router", {"type": "project", "location": ".kept/router", "model": "tiny"}
    with opened(tmp_path, monkeypatch, limit=1) as desk:
        desk.seconds = 0.05
        shutil.copy(projects.ROOT / "cml" / "run_job.py", desk.clone / "cml")
        for folder in (desk.root, desk.clone):
            projects.write_adapter(folder / hidden, "acme/tiny")
        model, _, export = documents()
        desk.write(model, manifest("Adapter", "router", adapter), export)
        desk.apply()
        assert any(job["name"].startswith("serve-modelexport-serve-") for job in desk.cml.state.jobs.values())
        place = desk.clone / desk.variables()["ADAPTER_LOCATION"]
        assert place.parent == desk.clone / "cml" / "adapters"
        assert (place / "adapter_model.safetensors").read_bytes() == (
            desk.root / hidden / "adapter_model.safetensors"
        ).read_bytes()
        assert "Nothing to do" in desk.plan()


def test_on_this_machine_an_endpoint_is_refused(tmp_path: Path) -> None:
    root = projects.write(tmp_path, documents())
    projects.write_adapter(root / "adapters" / "router", "acme/tiny")
    from tests.cli.front_door import ask

    answer = ask(root, "apply", "--yes", "--offline")
    assert answer.code == 1 and "an endpoint cannot be deployed by the local backend" in answer.out + answer.err


def test_a_build_is_removed_only_when_nothing_of_it_runs(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A workspace that leaves the deployment before running, and does not delete a build that is still deployed."""
    desk.apply()
    before = deployments.of

    def delete(state: State, build: dict[str, Any]) -> None:
        if any(each.status not in ("stopped", "failed") for each in before(state, build)):
            raise Refusal(409, "the build is deployed")
        real(state, build)

    real = models._delete
    monkeypatch.setattr(models, "_delete", delete)
    monkeypatch.setattr(deployments, "_stop_others", lambda *_: None)
    desk.write(*documents(generation_config={"max_new_tokens": 7}))
    desk.apply()
    assert len(desk.builds()) == 1 and desk.up()["build_id"] == desk.served()["build_id"]
