"""A registered version is served from the files that an export stored, and from nowhere else."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlflow.tracking import MlflowClient

from studio.core.errors import JobError
from studio.core.jobspec import Tracking
from studio.core.servingspec import RegisteredVersion, ServingSpec
from studio.jobs.serving import released, serving
from studio.jobs.serving.answering import Halt
from studio.jobs.serving.requests import Ask

from . import serving_bench
from .test_comparing import compared

FLAVOR = {"model_binary": "model", "task": "text-generation"}
CONFIG = {"max_new_tokens": 5, "do_sample": False, "return_full_text": False}


def described(flavor: Any = FLAVOR, config: Any = CONFIG) -> str:
    return yaml.safe_dump({"flavors": {"transformers": flavor, "python_function": {"config": config}}})


@pytest.fixture
def version(project: Path, tiny_model: Path) -> Path:
    """The folder of version 1 of a registered model, laid out as mlflow.transformers lays it out."""
    folder = project / ".studio" / "mlartifacts" / "stored"
    shutil.copytree(tiny_model, folder / "model")
    (folder / "MLmodel").write_text(described())
    client = MlflowClient(f"sqlite:///{project}/.studio/mlflow.db", f"sqlite:///{project}/.studio/mlflow.db")
    client.create_registered_model("ticket-router")
    client.create_model_version("ticket-router", folder.as_uri())
    return folder


def spec_in(project: Path, number: str = "1", **changes: Any) -> ServingSpec:
    tracking = Tracking(
        tracking_uri="sqlite:///.studio/mlflow.db", experiment="tests", artifact_location=".studio/mlartifacts"
    )
    asked = RegisteredVersion(model_name="ticket-router", model_version=number)
    here = {"project_dir": str(project), "tracking": tracking}
    return ServingSpec(name="release", title="ModelExport/release", version=asked, **{**here, **changes})


def test_a_version_answers_with_the_settings_it_was_registered_with(
    project: Path, version: Path, tiny_model: Path
) -> None:
    with serving.opened(spec_in(project)) as served:
        found = served.answer(Ask("card"), served.join(), Halt())
        assert served.settings == {"max_new_tokens": 5, "do_sample": False}
    with serving.opened(serving_bench.spec_of(tiny_model, generation={"max_new_tokens": 5})) as served:
        assert served.answer(Ask("card"), served.join(), Halt()) == found


def test_a_version_beside_its_base_is_asked_with_the_same_settings(
    project: Path, version: Path, tiny_model: Path
) -> None:
    base = serving_bench.spec_of(tiny_model, generation={"max_new_tokens": 12})
    told, _ = compared(spec_in(project), base)
    assert {each.tokens for each in told.values()} == {5}, "as the version was registered"
    assert all(each.is_cut for each in told.values()) and told[(0, False)].text == told[(0, True)].text


def test_settings_that_were_asked_for_replace_those_of_the_version(project: Path, version: Path) -> None:
    with released.files(spec_in(project, generation={"max_new_tokens": 2})) as files:
        assert files.generation == {"max_new_tokens": 2} and files.folder == version / "model"


def gone(version: Path) -> None:
    shutil.rmtree(version)


def damaged(version: Path) -> None:
    (version / "MLmodel").write_text("{")


def foreign(version: Path) -> None:
    (version / "MLmodel").write_text(yaml.safe_dump({"flavors": {"sklearn": {}}}))


def empty(version: Path) -> None:
    (version / "MLmodel").write_text("")


def escaping(version: Path) -> None:
    (version / "MLmodel").write_text(described({"model_binary": "../../../models/tiny"}))


def absolute(version: Path) -> None:
    (version / "MLmodel").write_text(described({"model_binary": "/etc"}))


def pickled(version: Path) -> None:
    (version / "model" / "model.safetensors").rename(version / "model" / "pytorch_model.bin")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (gone, "its files are not in"),
        (damaged, "MLmodel cannot be read"),
        (foreign, "it has no transformers flavor"),
        (empty, "it has no transformers flavor"),
        (escaping, "which is outside of the version"),
        (absolute, "which is outside of the version"),
        (pickled, "pickled weights are refused"),
    ],
)
def test_a_version_that_cannot_be_served_says_why(project: Path, version: Path, damage: Any, words: str) -> None:
    damage(version)
    with pytest.raises(JobError, match=words), released.files(spec_in(project)):
        raise AssertionError("it was found")


def test_a_version_that_is_not_in_the_registry_says_so(project: Path, version: Path) -> None:
    with (
        pytest.raises(JobError, match="ticket-router version 2 is not in the registry any more") as caught,
        released.files(spec_in(project, "2")),
    ):
        raise AssertionError("it was found")
    assert "studio apply --refresh" in caught.value.hint
