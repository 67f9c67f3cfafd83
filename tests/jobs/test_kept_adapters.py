"""Adapters kept on an MLflow server: trained on one disk, used on another."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from studio.core.fingerprints import folder_digest, tree
from studio.core.jobresult import EvaluationOutput, TrainingOutput
from studio.core.jobspec import ADAPTERS_FOLDER, JobSpec
from tests.fakes.tracking_server import tracking_server

from .conftest import furnish, spec_in
from .workbench import MODEL, evaluation, failure, messages, perform, training

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, empty_tracking: Path) -> Iterator[str]:
    """A real tracking server on a socket of this machine."""
    home = tmp_path_factory.mktemp("server")
    shutil.copyfile(empty_tracking, home / "mlflow.db")
    with tracking_server(home) as address:
        yield address


@pytest.fixture
def elsewhere(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, tickets: list[dict[str, str]]) -> Path:
    """Another machine's clone of the project."""
    return furnish(tmp_path_factory.mktemp("elsewhere"), tiny_model, tickets)


def on(address: str, server: str = "s") -> dict[str, Any]:
    return {"tracking": {"tracking_uri": address, "experiment": "tests", "server": server}}


def train(project: Path, address: str) -> tuple[JobSpec, TrainingOutput]:
    spec = spec_in(project, training(), "train", **on(address))
    made = perform(spec).output
    assert isinstance(made, TrainingOutput)
    return spec, made


def adapter(made: TrainingOutput, **changes: Any) -> dict[str, Any]:
    kept = made.kept.model_dump() if made.kept else None
    return {
        "name": "router",
        "type": "project",
        "location": made.adapter,
        "digest": made.digest,
        "kept": kept,
    } | changes


def evaluate(project: Path, held: dict[str, Any], address: str) -> JobSpec:
    work = evaluation(metrics=["exact_match"], combinations=[{"model": MODEL, "adapter": held}])
    return spec_in(project, work, "evaluate", **on(address))


def test_an_adapter_trained_here_is_used_there_and_fetched_once(project: Path, elsewhere: Path, server: str) -> None:
    _, made = train(project, server)
    assert made.kept and made.kept.path == "adapter"
    spec = evaluate(elsewhere, adapter(made), server)
    assert isinstance(perform(spec).output, EvaluationOutput)
    fetched = elsewhere / ADAPTERS_FOLDER / made.digest
    assert (fetched / "adapter_model.safetensors").read_bytes() == (
        project / made.adapter / "adapter_model.safetensors"
    ).read_bytes()
    assert [path.name for path in fetched.parent.iterdir()] == [made.digest]
    gone = adapter(made, kept={"server": "s", "run_id": "0" * 32, "path": "adapter"})
    assert isinstance(perform(evaluate(elsewhere, gone, server)).output, EvaluationOutput)


def test_a_copy_where_out_dir_says_is_made_of_an_adapter_trained_elsewhere(
    project: Path, elsewhere: Path, server: str
) -> None:
    _, made = train(project, server)
    (elsewhere / "copies").mkdir()
    held = adapter(made)
    copy = {"source": held["location"], "digest": held["digest"], "target": "copies/router", "kept": held["kept"]}
    result = perform(spec_in(elsewhere, {"task": "revision", "copies": [copy]}, "revision", **on(server)))
    assert result.failure is None
    assert folder_digest(tree(elsewhere / "copies" / "router")) == made.digest


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"digest": "0" * 64}, "what MLflow keeps is not what was trained"),
        ({"kept": {"server": "s", "run_id": "0" * 32, "path": "adapter"}}, "MLflow does not give it"),
    ],
)
def test_what_is_not_the_adapter_that_was_trained_is_refused(
    project: Path, elsewhere: Path, server: str, changes: dict[str, Any], words: str
) -> None:
    _, made = train(project, server)
    told = failure(evaluate(elsewhere, adapter(made, **changes), server))
    assert words in told and "studio apply --replace" in told
    assert list((elsewhere / ADAPTERS_FOLDER).iterdir()) == []


def test_an_adapter_on_a_disk_is_not_kept_twice(project: Path) -> None:
    spec = spec_in(project, training(), "train")
    made = perform(spec).output
    assert isinstance(made, TrainingOutput) and made.kept is None


def test_a_server_that_takes_no_files_costs_the_copy_and_nothing_else(
    project: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.tracking import MlflowClient

    def refuse(*_: object) -> None:
        raise ConnectionError("connection lost")

    monkeypatch.setattr(MlflowClient, "log_artifacts", refuse)
    spec, made = train(project, server)
    assert made.kept is None and (project / made.adapter / "adapter_model.safetensors").is_file()
    assert "MLflow did not take the adapter, so it is on this machine only: connection lost" in messages(spec)
