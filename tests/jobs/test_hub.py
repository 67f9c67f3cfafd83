"""Models from the hub: fetched with their revision and token, without pickles, and referred to in the registry."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from studio.core.jobspec import ExportOutput, JobResult, JobSpec

from .hub_server import COMMIT, TOKEN, serving
from .workbench import MakeSpec, export, in_process_of_its_own, log

pytestmark = pytest.mark.slow
NAME = "acme/tiny"
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
    with serving(repository, NAME, gated=True) as (address, asked):
        result = run(spec, address, MY_TOKEN=TOKEN)
    assert isinstance(result.output, ExportOutput), result.failure
    assert not [path for path in asked if path.endswith(".bin")]
    assert TOKEN not in log(spec) and TOKEN not in (spec.folder / "model" / "README.md").read_text()


def test_adapter_weights_are_registered_over_a_reference(make_spec: MakeSpec, router: str, repository: Path) -> None:
    spec = make_spec(export(router, model=BASE, weights="adapter"))
    with serving(repository, NAME) as (address, _):
        result = run(spec, address)
        assert isinstance(result.output, ExportOutput), (result.failure, log(spec))
        folder, flavor = registered(spec)
        answer = predicted(spec, address)
    assert flavor["source_model_name"] == NAME and flavor["source_model_revision"] == COMMIT
    assert [path.name for path in folder.rglob("*.safetensors")] == ["adapter_model.safetensors"]
    assert answer == ["card"]


def predicted(spec: JobSpec, address: str) -> list[str]:
    """What a fresh process that loads the registered model answers."""
    import subprocess
    import sys

    from .workbench import environment

    code = (
        "import json, mlflow\n"
        "model = mlflow.pyfunc.load_model('models:/ticket-router/1')\n"
        "print(json.dumps(model.predict('### thanks for card\\n>')))"
    )
    variables = {
        "MLFLOW_TRACKING_URI": f"sqlite:///{spec.path('.studio/mlflow.db')}",
        "HF_ENDPOINT": address,
        "HF_HOME": str(spec.path("hf-home")),
        "HF_HUB_OFFLINE": "0",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env={**environment(), **variables}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    answer: list[str] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_a_reference_stores_no_weights(make_spec: MakeSpec, repository: Path) -> None:
    spec = make_spec(export(None, model=BASE, weights="reference"))
    with serving(repository, NAME) as (address, _):
        result = run(spec, address)
    assert isinstance(result.output, ExportOutput), (result.failure, log(spec))
    folder, flavor = registered(spec)
    assert flavor["source_model_name"] == NAME and flavor["source_model_revision"] == COMMIT
    assert not list(folder.rglob("*.safetensors"))


@pytest.mark.parametrize(
    ("model", "gated", "fault"),
    [
        ({**BASE, "huggingface_name": "acme/other"}, False, "does not exist on the hub"),
        ({**BASE, "revision": "v9"}, False, "has no revision v9"),
        (BASE, True, "is gated"),
    ],
)
def test_what_the_hub_refuses_is_said(
    make_spec: MakeSpec, repository: Path, model: dict[str, Any], gated: bool, fault: str
) -> None:
    spec = make_spec(export(None, model=model))
    with serving(repository, NAME, gated=gated) as (address, _):
        result = run(spec, address)
    assert result.failure is not None and not result.failure.bug and fault in result.failure.message
