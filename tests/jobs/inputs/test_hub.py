"""Models from the hub: fetched with their revision and token, without pickles, and referred to in the registry."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from studio.core.jobresult import ExportOutput, JobResult, TrainingOutput
from studio.core.jobspec import JobSpec
from tests.fakes.hub import COMMIT, Repo, serving

from ..workbench import MakeSpec, environment, export, in_process_of_its_own, log, training

pytestmark = pytest.mark.slow
NAME = "acme/tiny"
TOKEN = "good-token"
BASE: dict[str, Any] = {"name": "tiny", "type": "huggingface", "huggingface_name": NAME, "revision": COMMIT}


@pytest.fixture
def repository(tmp_path: Path, tiny_model: Path) -> Path:
    folder = tmp_path / "repository"
    shutil.copytree(tiny_model, folder)
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    return folder


def run(spec: JobSpec, address: str, **variables: str) -> JobResult:
    home = str(spec.path("hf-home"))
    _, result = in_process_of_its_own(spec, HF_ENDPOINT=address, HF_HOME=home, HF_HUB_OFFLINE="0", **variables)
    return result


def registered(spec: JobSpec) -> tuple[Path, dict[str, Any]]:
    """The registered model's folder and its transformers flavor."""
    import mlflow
    from mlflow.artifacts import download_artifacts

    uri = f"sqlite:///{spec.path('.studio/mlflow.db')}"
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    folder = Path(download_artifacts("models:/ticket-router/1", dst_path=str(spec.path("downloaded"))))
    flavors: dict[str, Any] = mlflow.models.Model.load(folder).flavors
    return folder, flavors["transformers"]


def test_a_gated_model_is_fetched_with_the_named_variable_and_without_pickles(
    make_spec: MakeSpec, repository: Path
) -> None:
    spec = make_spec(export(None, model=BASE), secrets={"hf_token": "MY_TOKEN"})
    with serving({("models", NAME): Repo.of(repository, gated=True)}) as hub:
        result = run(spec, hub.url, MY_TOKEN=TOKEN)
    assert isinstance(result.output, ExportOutput), result.failure
    assert not [path for path in hub.requests if path.endswith(".bin")]
    assert TOKEN not in log(spec) and TOKEN not in (spec.folder / "model" / "README.md").read_text()


def test_adapter_weights_are_registered_over_a_reference(make_spec: MakeSpec, router: str, repository: Path) -> None:
    spec = make_spec(export(router, model=BASE, weights="adapter"))
    with serving({("models", NAME): Repo.of(repository)}) as hub:
        result = run(spec, hub.url)
        assert isinstance(result.output, ExportOutput), (result.failure, log(spec))
        folder, flavor = registered(spec)
        answers = answered(spec, hub.url)
    assert flavor["source_model_name"] == NAME and flavor["source_model_revision"] == COMMIT
    assert [path.name for path in folder.rglob("*.safetensors")] == ["adapter_model.safetensors"]
    assert answers == [" card", ["card"]]


ASK = """
import json, sys
from pathlib import Path
import mlflow
question, path = "### thanks for card\\n>", Path(sys.argv[1])
home = json.loads(path.read_bytes())["project_dir"]
mlflow.set_tracking_uri(f"sqlite:///{home}/.studio/mlflow.db")
loaded = mlflow.pyfunc.load_model("models:/ticket-router/1").predict(question)  # as where studio is not installed
from studio.core.jobspec import JobSpec
from studio.core.servingspec import RegisteredVersion, ServingSpec
from studio.jobs.serving import serving
from studio.jobs.serving.answering import Halt
from studio.jobs.serving.requests import Ask
job = JobSpec.model_validate_json(path.read_bytes())
version = RegisteredVersion(model_name="ticket-router", model_version="1")
spec = ServingSpec(name="r", title="r", version=version, project_dir=job.project_dir, tracking=job.tracking)
with serving.opened(spec) as served:
    answer = served.answer(Ask(question), served.join(), Halt()).text
print("ANSWERS " + json.dumps([answer, loaded]))
"""


def answered(spec: JobSpec, address: str) -> Any:
    """What ``studio serve`` answers with the registered version, and what it answers when MLflow loads it."""
    variables = {"HF_ENDPOINT": address, "HF_HOME": str(spec.path("hf-home")), "HF_HUB_OFFLINE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(spec.folder / "spec.json")],
        env={**environment(), **variables}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("ANSWERS "))
    return json.loads(line.removeprefix("ANSWERS "))


def test_a_reference_stores_no_weights(make_spec: MakeSpec, repository: Path) -> None:
    spec = make_spec(export(None, model=BASE, weights="reference"))
    with serving({("models", NAME): Repo.of(repository)}) as hub:
        result = run(spec, hub.url)
        assert isinstance(result.output, ExportOutput), (result.failure, log(spec))
        folder, flavor = registered(spec)
        assert answered(spec, hub.url)[0] != " card"  # which only the adapter knows
    assert flavor["source_model_name"] == NAME and flavor["source_model_revision"] == COMMIT
    assert not list(folder.rglob("*.safetensors"))


def test_a_reference_that_persists_brings_the_weights_in(make_spec: MakeSpec, repository: Path) -> None:
    spec = make_spec(export(None, model=BASE, weights="reference", persist=True))
    with serving({("models", NAME): Repo.of(repository)}) as hub:
        result = run(spec, hub.url)
    assert isinstance(result.output, ExportOutput), (result.failure, log(spec))
    folder, flavor = registered(spec)
    stored = next(folder.rglob("*.safetensors"))
    assert stored.read_bytes() == (repository / "model.safetensors").read_bytes()
    assert flavor["source_model_name"] == NAME
    shutil.rmtree(spec.path("hf-home"))
    served, loaded = answered(spec, "http://127.0.0.1:9")  # without a hub
    assert served != " card" and loaded  # only the adapter knows the answer


DOWNLOAD = """
import sys
from pathlib import Path
from studio.core.errors import JobError
from studio.core.jobspec import JobSpec
from studio.jobs.inputs import hub

try:
    hub.download(sys.argv[2], sys.argv[3], JobSpec.model_validate_json(Path(sys.argv[1]).read_bytes()))
except JobError as error:
    print(error.message)
"""


@pytest.mark.parametrize(
    ("name", "revision", "gated", "fault"),
    [
        ("acme/other", COMMIT, False, "does not exist on the hub"),
        (NAME, "v9", False, "has no revision v9"),
        (NAME, COMMIT, True, "is gated"),
        ("not a name", "", False, "is not a name on the hub"),
    ],
)
def test_what_the_hub_refuses_is_said(
    make_spec: MakeSpec, repository: Path, name: str, revision: str, gated: bool, fault: str
) -> None:
    spec = make_spec(export(None))
    path = spec.path("spec.json")
    path.write_text(spec.model_dump_json())
    with serving({("models", NAME): Repo.of(repository, gated=gated)}) as hub:
        assert fault in downloading(hub.url, path, name, revision)


def test_a_hub_that_does_not_answer_is_said(make_spec: MakeSpec) -> None:
    spec = make_spec(export(None))
    path = spec.path("spec.json")
    path.write_text(spec.model_dump_json())
    assert "could not be fetched from the hub" in downloading("http://127.0.0.1:9", path, NAME, COMMIT)


def downloading(address: str, spec: Path, name: str, revision: str) -> str:
    variables = {"HF_ENDPOINT": address, "HF_HOME": str(spec.parent / "hf-home"), "HF_HUB_OFFLINE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", DOWNLOAD, str(spec), name, revision],
        env={**environment(), **variables},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_rows_come_from_the_hub_at_their_revision(make_spec: MakeSpec, tmp_path: Path) -> None:
    folder = tmp_path / "rows"
    folder.mkdir()
    rows = "".join(f"NA,please help with {index},card\n" for index in range(20))
    (folder / "train.csv").write_text("code,text,queue\n" + rows)
    dataset = {"name": "tickets", "type": "huggingface", "huggingface_name": "acme/tickets", "revision": COMMIT}
    spec = make_spec(training(dataset=dataset))
    spec.path("acme/tickets").mkdir(parents=True)  # a folder of that name in the project is not what is meant
    with serving({("datasets", "acme/tickets"): Repo.of(folder)}) as hub:
        result = run(spec, hub.url)
    assert isinstance(result.output, TrainingOutput), result.failure
    assert (result.output.train_rows, result.output.held_out_rows) == (16, 4)
    assert any(f" /datasets/acme/tickets/resolve/{COMMIT}/" in path for path in hub.requests)
