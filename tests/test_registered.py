"""Models and adapters of a workspace's registry in plans: what is known offline, and what only asking tells."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.backends import BACKENDS
from studio.core.jobspec import TrainingWork
from studio.core.registered import Logged
from studio.workflow import places
from tests import projects
from tests.cli.front_door import Answer, ask
from tests.fakes.backend import CountingBackend
from tests.fakes.cml_server import Workspace, workspace
from tests.fakes.workspace.registry import MODEL_ID, logged, registered_model
from tests.projects import Document, manifest, support_desk, with_spec

ADAPTER_ID = "efgh-5678-abcd-1234"
UNKNOWN = "not known yet: the MLflow run that logged"


def documents(id: str = MODEL_ID) -> list[Document]:
    """The base model and one of two adapters are in the registry."""
    spec = {"type": "model_registry", "cml_registered_model_id": id}
    found = [each for each in support_desk() if each["kind"] not in ("Model", "ModelExport")]
    combinations = [{"base_model": "tiny"}, {"base_model": "tiny", "adapter": "theirs"}]
    theirs = {"type": "model_registry", "cml_registered_model_id": ADAPTER_ID, "model": "tiny"}
    base = [manifest("Model", "tiny", spec), manifest("Adapter", "theirs", theirs)]
    return [*base, *with_spec(found, "EvaluationJob", model_adapter_combinations=combinations, gates=[])]


@pytest.fixture
def cml(monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    models = registered_model(MODEL_ID, logged("7", "feed")), registered_model(ADAPTER_ID, logged("8", "beef"))
    with workspace(None, *models) as running:
        for name, value in running.environ().items():
            monkeypatch.setenv(name, value)
        yield running


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return projects.write(tmp_path / "desk", documents())


@pytest.fixture
def backend(root: Path, monkeypatch: pytest.MonkeyPatch) -> CountingBackend:
    made = CountingBackend(root)
    monkeypatch.setitem(BACKENDS, "local", lambda site: made)
    monkeypatch.setattr(places, "pause", lambda _: None)
    return made


def plan(root: Path, *options: str) -> Answer:
    answer = ask(root, "plan", *options)
    assert answer.code == 0, answer.out + answer.err
    return answer


def actions(root: Path, *options: str) -> dict[str, str]:
    found = json.loads(plan(root, "--json", *options).out)["actions"]
    return {each["resource"]: each["action"] for each in found if each["action"] != "none"}


def test_apply_asks_which_run_logged_a_model_and_hands_it_to_the_jobs(
    root: Path, cml: Workspace, backend: CountingBackend
) -> None:
    first = plan(root)
    assert f"{UNKNOWN} Model/tiny, and 1 more; apply asks the model registry" in first.out and cml.calls == []
    assert "Model/tiny  MLflow run feed" in plan(root, "--online").out
    answer = ask(root, "apply", "--yes")
    assert answer.code == 0 and "Applied: " in answer.out
    (train,) = (spec.work for spec in backend.specs.values() if isinstance(spec.work, TrainingWork))
    assert train.model.logged == Logged(experiment_id="7", run_id="feed")
    shown = json.loads(ask(root, "state", "show", "Model/tiny").out)
    assert shown["facts"] == {"family": "", "digest": "", "mlflow_experiment_id": "7", "mlflow_run_id": "feed"}


def test_what_was_recorded_is_known_without_a_network_and_there_is_nothing_to_do(
    root: Path, cml: Workspace, backend: CountingBackend
) -> None:
    assert ask(root, "apply", "--yes").code == 0
    asked = len(cml.calls)
    for options in ((), ("--online",)):
        answer = plan(root, *options)
        assert "Nothing to do" in answer.out and UNKNOWN not in answer.out
    assert ask(root, "apply", "--yes", "--offline").code == 0
    assert len(cml.calls) == asked, "what was answered a moment ago was asked again"
    renamed = json.loads(json.dumps(documents()).replace('"tiny"', '"little"'))
    (root / "manifests" / "all.yaml").write_text(projects.stream(renamed))
    assert not {"replace", "create"} & {verb for ref, verb in actions(root).items() if "Job" in ref}


def test_another_first_version_is_a_change_with_a_reason_and_trains_again(
    root: Path, cml: Workspace, backend: CountingBackend
) -> None:
    assert ask(root, "apply", "--yes").code == 0
    cml.registered[MODEL_ID] = registered_model(MODEL_ID, logged("7", "cafe"))
    assert plan(root).out.startswith("Nothing to do")
    told = plan(root, "--online", "--no-cache").out
    assert "the content changed" in told or "content changed" in told
    assert actions(root, "--online", "--no-cache") == {
        "Model/tiny": "update", "Adapter/theirs": "update", "FineTuningJob/train": "replace",
        "EvaluationJob/compare": "replace",
    }  # fmt: skip
    drifted = ask(root, "drift", "--online")
    assert f"the first version of {MODEL_ID} was logged by another run now" in drifted.out


def test_a_plan_that_was_saved_without_knowing_refuses_and_one_that_asked_is_applied(
    root: Path, cml: Workspace, backend: CountingBackend
) -> None:
    plan(root, "--out", "offline.json")
    refused = ask(root, "apply", "offline.json")
    assert refused.code == 4 and "Adapter/theirs" in refused.err and backend.specs == {}
    plan(root, "--online", "--out", "online.json")
    assert ask(root, "apply", "online.json").code == 0


def test_without_an_answer_what_is_not_known_fails_with_what_to_do(
    root: Path, cml: Workspace, backend: CountingBackend
) -> None:
    answer = ask(root, "apply", "--yes", "--offline")
    assert answer.code == 1 and backend.specs == {} and cml.calls == []
    assert f"Model/tiny: which MLflow run logged '{MODEL_ID}' is not known" in answer.out
    assert "apply again where the workspace can be asked, without --offline" in answer.out
    assert ask(root, "apply", "--yes").code == 0 and len(backend.specs) == 2


def test_a_model_that_left_the_registry_is_drift_and_apply_refuses(
    root: Path, cml: Workspace, backend: CountingBackend
) -> None:
    assert ask(root, "apply", "--yes").code == 0
    del cml.registered[ADAPTER_ID]
    assert f"{ADAPTER_ID} is not in the registry any more" in ask(root, "drift", "--online").out
    refused = ask(root, "apply", "--yes", "--no-cache")
    assert refused.code == 1 and "AD-019" in refused.out and "Nothing was applied" in refused.err
