"""What exists is taken over under a manifest: plan finds nothing to do, and what contradicts it is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from studio.core.references import Ref
from studio.state.base import Run, RunStatus
from tests import projects

from .front_door import ask, environment
from .states import reading, writing

TRAIN, RELEASE = Ref("FineTuningJob", "train"), Ref("ModelExport", "release")
DATA = (("Dataset", "tickets"), ("Model", "tiny"), ("Prompt", "route"), ("Config", "lora"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Data and a training, with an adapter in the project that the training may have made."""
    documents = projects.with_spec(
        projects.support_desk(), "Config", config=projects.LORA | {"target_modules": ["q_proj", "v_proj"]}
    )
    documents = [each for each in documents if each["kind"] not in ("EvaluationJob", "ModelExport")]
    root = projects.write(tmp_path / "desk", documents)
    projects.write_adapter(root / "adapters" / "router")
    return root


def actions(root: Path) -> dict[str, str]:
    plan = json.loads(ask(root, "plan", "--json").out)
    return {each["resource"]: each["action"] for each in plan["actions"] if each["action"] != "none"}


def test_after_everything_is_imported_there_is_nothing_to_do_and_nothing_ran(project: Path) -> None:
    for kind, name in DATA:
        answer = ask(project, "import", kind, name, f"uid-of-{name}")
        assert answer.code == 0 and answer.out == f"{kind}/{name}: imported uid-of-{name}\n"
    answer = ask(project, "import", *str(TRAIN).split("/"), "adapters/router")
    assert answer.code == 0 and answer.out == f"{TRAIN}: imported from adapters/router\n"
    assert actions(project) == {}
    with reading(project) as state:
        records, noted = state.records(), state.operations()
        artifact = state.artifact(TRAIN.kind, records[TRAIN].fingerprint)
    assert {ref.name: record.uid for ref, record in records.items() if ref != TRAIN} == {
        name: f"uid-of-{name}" for _, name in DATA
    }
    assert artifact is not None and artifact.output["adapter"] == "adapters/router"
    assert [each.command for each in noted] == ["import"] * 5
    assert {name: words for each in noted for name, words in each.summary.items()}[str(TRAIN)] == (
        "imported from adapters/router"
    )
    assert not (project / ".studio" / "runs").exists()
    assert ask(project, "apply", "--yes").code == 0
    assert json.loads(ask(project, "drift", "--json").out)["drifts"] == []


def test_what_is_imported_already_is_nothing_to_do(project: Path) -> None:
    for words in (["Dataset", "tickets", "a"], ["FineTuningJob", "train", "adapters/router"]):
        assert ask(project, "import", *words).code == 0
        with reading(project) as state:
            before = state.records(), state.lineage(), state.operations()
        answer = ask(project, "import", *words)
        assert answer.code == 0 and "recorded so already" in answer.out
        with reading(project) as state:
            assert (state.records(), state.lineage(), state.operations()) == before


def test_an_adapter_may_be_named_by_its_whole_path_or_in_a_roundabout_way(project: Path) -> None:
    for way in (str(project / "adapters" / "router"), "./adapters/../adapters/router/"):
        assert ask(project, "import", "FineTuningJob", "train", way).code == 0
        with reading(project) as state:
            assert state.records()[TRAIN].outcome["output"]["adapter"] == "adapters/router"


def config(root: Path, **values: object) -> None:
    file = root / "adapters" / "router" / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def pickled(root: Path) -> None:
    folder = root / "adapters" / "router"
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")


@pytest.mark.parametrize(
    ("harm", "words", "hint"),
    [
        (lambda root: config(root, base_model_name_or_path="x/other"), "was trained on 'x/other'", "base_model"),
        (lambda root: config(root, base_model_name_or_path=None), "names no base model", "save it again"),
        (lambda root: config(root, r=16), "has rank 16, and FineTuningJob/train asks for r: 8", "lora_config"),
        (lambda root: config(root, target_modules=["k_proj"]), "adapts k_proj", "lora_config"),
        (lambda root: (root / "adapters/router/adapter_config.json").unlink(), "lacks adapter_config.json", "PEFT"),
        (pickled, "pickled weights only", "safetensors"),
        (lambda root: (root / "adapters/router/adapter_model.safetensors").write_bytes(b"x"), "safetensors", "fetch"),
    ],
    ids=["base-model", "no-base-model", "rank", "modules", "no-config", "pickle", "broken-weights"],
)  # fmt: skip
def test_an_adapter_that_the_job_cannot_have_made_is_no_import(
    project: Path, harm: object, words: str, hint: str
) -> None:
    assert callable(harm)
    harm(project)
    answer = ask(project, "import", "FineTuningJob", "train", "adapters/router")
    assert answer.code == 64 and words in answer.err and hint in answer.err
    assert not (project / ".studio" / "state.db").exists()


@pytest.mark.parametrize(
    ("arguments", "words", "hint"),
    [
        (["FineTuningJob", "train", "adapters/nothing"], "does not exist", "relative to the project"),
        (["FineTuningJob", "train", "../elsewhere"], "no folder inside the project", "copy the adapter"),
        (["FineTuningJob", "train", "/etc"], "no folder inside the project", "copy the adapter"),
        (["FineTuningJob", "train", "."], "no folder inside the project", "copy the adapter"),
        (["FineTuningJob", "train", ""], "no folder inside the project", "copy the adapter"),
        (["Dataset", "tickets", "a b"], "'a b' is no uid", "at most 36"),
        (["Dataset", "tickets", "x" * 37], "is no uid", "at most 36"),
        (["Dataset", "tickts", "a"], "no manifest declares Dataset/tickts", "did you mean 'Dataset/tickets'?"),
        (["Datset", "tickets", "a"], "there is no kind 'Datset'", "did you mean 'Dataset'?"),
        (["Config", "default-lora", "a"], "no manifest declares Config/default-lora", "write one first"),
    ],
)
def test_what_cannot_be_imported_is_refused_and_makes_no_state(
    project: Path, arguments: list[str], words: str, hint: str
) -> None:
    answer = ask(project, "import", *arguments)
    assert answer.code == 64 and words in answer.err and hint in answer.err
    assert not (project / ".studio" / "state.db").exists()


def test_a_uid_belongs_to_one_resource_and_a_resource_has_one_uid(project: Path) -> None:
    assert ask(project, "import", "Dataset", "tickets", "a").code == 0
    other = ask(project, "import", "Dataset", "tickets", "b")
    assert other.code == 64 and "recorded already, as a" in other.err and "studio state rm" in other.err
    with writing(project) as state:
        record = state.records()[Ref("Dataset", "tickets")]
        state.save_record(replace(record, ref=Ref("Dataset", "old"), uid="c"))
        state.delete_record(record.ref)
    taken = ask(project, "import", "Dataset", "tickets", "c")
    assert taken.code == 64 and "'studio state mv Dataset/old Dataset/tickets'" in taken.err
    text = (project / "manifests" / "all.yaml").read_text()
    (project / "manifests" / "all.yaml").write_text(text.replace('"name": "tiny"', '"name": "tiny", "uid": "m1"', 1))
    said = ask(project, "import", "Model", "tiny", "m2")
    assert said.code == 64 and "the manifest of Model/tiny says uid: m1" in said.err
    assert ask(project, "import", "Model", "tiny", "m1").code == 0


def test_while_a_job_runs_or_where_its_work_is_done_nothing_is_imported(project: Path) -> None:
    with writing(project) as state:
        state.save_run(Run("key", 1, "default", TRAIN, "f" * 64, "local", RunStatus.SUBMITTED))
    running = ask(project, "import", "FineTuningJob", "train", "adapters/router")
    assert running.code == 64 and "is not over: key" in running.err
    with writing(project) as state:
        state.save_run(Run("key", 1, "default", TRAIN, "f" * 64, "local", RunStatus.FAILED))
    assert ask(project, "import", "FineTuningJob", "train", "adapters/router").code == 0
    projects.write_adapter(project / "adapters" / "other")
    done = ask(project, "import", "FineTuningJob", "train", "adapters/other")
    assert done.code == 64 and "there is an artifact of an import" in done.err


def test_a_locked_state_a_broken_project_and_an_evaluation_are_told_apart(project: Path, desk: Path) -> None:
    with writing(project):
        assert ask(project, "import", "Dataset", "tickets", "a").code == 3
    evaluation = ask(desk, "import", "EvaluationJob", "compare", "x")
    assert evaluation.code == 64 and "somebody's word" in evaluation.err and "nothing trains" in evaluation.err
    (desk / "data" / "tickets.csv").unlink()
    broken = ask(desk, "import", "Dataset", "tickets", "a")
    assert broken.code == 1 and "DS-" in broken.out and "mend the errors" in broken.err


# Registered models

VERSIONS = """
import sys
from pathlib import Path
from mlflow.tracking import MlflowClient

uri, folder = sys.argv[1], Path(sys.argv[2])
client = MlflowClient(uri, uri)
client.create_registered_model("router")
folder.mkdir()
(folder / "MLmodel").write_text("flavors: {}")
own = {"studio.key": "modelexport-release-1", "studio.fingerprint": "0" * 64}
for stored, tags in ((folder, {}), (folder, own), (folder.with_name("gone"), {})):
    client.create_model_version("router", str(stored), tags=tags)
"""


@pytest.fixture
def registered(desk: Path, empty_tracking: Path) -> Path:
    """A registry with three versions: one with its files, one that says what it was made of, one without files."""
    (desk / ".studio").mkdir()
    shutil.copyfile(empty_tracking, desk / ".studio" / "mlflow.db")
    uri, folder = f"sqlite:///{desk}/.studio/mlflow.db", desk / "stored"
    command = [sys.executable, "-c", VERSIONS, uri, str(folder)]
    subprocess.run(command, check=True, env=environment(), capture_output=True, timeout=120)
    projects.write_adapter(desk / "adapters" / "router")
    file = desk / "adapters" / "router" / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "target_modules": ["q_proj"]}))
    return desk


@pytest.mark.slow
def test_a_registered_version_becomes_what_the_export_made(registered: Path) -> None:
    for kind, name in DATA:
        assert ask(registered, "import", kind, name, name).code == 0
    assert ask(registered, "import", "FineTuningJob", "train", "adapters/router").code == 0
    for id, words in (
        ("router/9", "has no version 9"),
        ("other/1", "registers 'router', not 'other'"),
        ("router", "is no version of a model"),
        ("router/latest", "is no version of a model"),
        ("router/2", "was exported from something else"),
        ("router/3", "the files of router version 3 are gone"),
    ):
        refused = ask(registered, "import", *str(RELEASE).split("/"), id)
        assert refused.code == 64 and words in refused.err, refused.err
    answer = ask(registered, "import", *str(RELEASE).split("/"), "router/1")
    assert answer.code == 0 and answer.out == f"{RELEASE}: imported router/1\n"
    assert actions(registered) == {"EvaluationJob/compare": "create"}
    with reading(registered) as state:
        output = state.records()[RELEASE].outcome["output"]
    assert (output["model_version"], output["uri"]) == ("1", "models:/router/1")
    assert json.loads(ask(registered, "drift", "--json").out)["drifts"] == []


def test_a_registry_that_does_not_answer_is_said_to_be_silent(desk: Path) -> None:
    settings = projects.SETTINGS + "spec: {mlflow: {tracking_uri: 'http://127.0.0.1:9'}}\n"
    (desk / "studio.yaml").write_text(settings)
    answer = ask(desk, "import", *str(RELEASE).split("/"), "router/1")
    assert answer.code == 1 and "MLflow cannot be asked" in answer.err
