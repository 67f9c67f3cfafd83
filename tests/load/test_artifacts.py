"""Whether an artifact can be had: from this disk, from the cache, or from the server that keeps it."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.core.jobspec import ADAPTERS_FOLDER
from studio.load.artifacts import is_present
from studio.load.destinations import server
from studio.load.settings import SecretName, Tracking

KEPT = {"server": "s", "run_id": "r", "path": "adapter"}
OUTPUT = {"adapter": ".studio/runs/x/adapter", "digest": "d", "kept": KEPT}


def put(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "adapter_model.safetensors").write_bytes(b"")


def test_what_is_no_adapter_is_always_there(tmp_path: Path) -> None:
    assert is_present({"model_name": "x"}, tmp_path, "")


def test_an_adapter_is_where_it_was_trained_or_where_it_was_fetched_to(tmp_path: Path) -> None:
    output = {"adapter": OUTPUT["adapter"], "digest": "d"}
    assert not is_present(output, tmp_path, "")
    put(tmp_path / ADAPTERS_FOLDER / "d")
    assert is_present(output, tmp_path, "") and not is_present({**output, "digest": "e"}, tmp_path, "")
    put(tmp_path / str(OUTPUT["adapter"]))
    assert is_present({**output, "digest": "e"}, tmp_path, "")


@pytest.mark.parametrize(("here", "there"), [("s", True), (None, True), ("another", False), ("", False)])
def test_an_adapter_that_is_kept_is_there_for_whoever_logs_to_the_same_server(
    tmp_path: Path, here: str | None, there: bool
) -> None:
    assert is_present(OUTPUT, tmp_path, here) is there


def test_a_server_is_the_same_however_its_address_is_written_and_a_disk_is_none(tmp_path: Path) -> None:
    def of(uri: str) -> str | None:
        return server(Tracking(tracking_uri=uri), tmp_path, {})

    assert of("https://me:secret@MLflow.example:443/") == of("https://mlflow.example") != ""
    assert of("https://mlflow.example") != of("https://other.example")
    assert of("sqlite:///.studio/mlflow.db") == of("file:///mnt/runs") == of("postgresql://u@db/mlflow") == ""
    hidden = Tracking(tracking_uri=SecretName(env="URI"))
    assert server(hidden, tmp_path, {}) is None
    assert server(hidden, tmp_path, {"URI": "https://mlflow.example"}) == of("https://mlflow.example")
