"""Whether an artifact can be had: from this disk, from the cache, or from the server that keeps it."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.core.jobspec import ADAPTERS_FOLDER
from studio.load.artifacts import Reach, absence, is_present
from studio.load.destinations import is_on_a_disk, server
from studio.load.settings import SecretName, Tracking

KEPT = {"server": "s", "run_id": "r", "path": "adapter"}
OUTPUT = {"adapter": ".studio/runs/x/adapter", "digest": "d", "kept": KEPT}


def put(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "adapter_model.safetensors").write_bytes(b"")


def test_what_is_no_adapter_is_always_there(tmp_path: Path) -> None:
    assert is_present({"model_name": "x"}, Reach(tmp_path))


def test_an_adapter_is_where_it_was_trained_or_where_it_was_fetched_to(tmp_path: Path) -> None:
    output = {"adapter": OUTPUT["adapter"], "digest": "d"}
    assert not is_present(output, Reach(tmp_path))
    put(tmp_path / ADAPTERS_FOLDER / "d")
    assert is_present(output, Reach(tmp_path)) and not is_present({**output, "digest": "e"}, Reach(tmp_path))
    put(tmp_path / str(OUTPUT["adapter"]))
    assert is_present({**output, "digest": "e"}, Reach(tmp_path))


@pytest.mark.parametrize(("here", "there"), [("s", True), (None, True), ("another", False), ("", False)])
def test_an_adapter_that_is_kept_is_there_for_whoever_logs_to_the_same_server(
    tmp_path: Path, here: str | None, there: bool
) -> None:
    assert is_present(OUTPUT, Reach(tmp_path, here)) is there


A, B = "cml:ml.example/a", "cml:ml.example/b"


@pytest.mark.parametrize(
    ("made", "place", "there"),
    [(A, A, True), (A, B, False), ("", A, False), (A, "", True), ("", "", False)],
)
def test_what_a_workspace_made_is_there_for_its_own_jobs_without_looking(
    tmp_path: Path, made: str, place: str, there: bool
) -> None:
    output = {"adapter": OUTPUT["adapter"], "digest": "d", "place": made}
    put(tmp_path / str(OUTPUT["adapter"]))  # on this disk, which those jobs do not see
    assert is_present(output, Reach(tmp_path, "", elsewhere=True, place=place)) is there


def test_what_is_kept_on_the_server_is_there_for_jobs_anywhere(tmp_path: Path) -> None:
    assert is_present({**OUTPUT, "place": A}, Reach(tmp_path, "s", elsewhere=True, place=B))
    assert is_present({**OUTPUT, "place": A}, Reach(tmp_path, "s"))


def test_inside_the_workspace_the_disk_decides(tmp_path: Path) -> None:
    output = {"adapter": OUTPUT["adapter"], "digest": "d", "place": A}
    assert not is_present(output, Reach(tmp_path))
    put(tmp_path / str(OUTPUT["adapter"]))
    assert is_present(output, Reach(tmp_path))


def test_what_cannot_be_had_is_explained_by_where_it_is(tmp_path: Path) -> None:
    outside, here = Reach(tmp_path, "", elsewhere=True, place=B), Reach(tmp_path)
    assert absence({"adapter": "x", "place": A}, outside) == (
        f"its adapter was made in {A}, is not in {B}, and is not kept on the MLflow server of this environment"
    )
    assert "on the disk of another machine, is not in" in absence({"adapter": "x"}, outside)
    assert f"made in {A}, is not on this disk" in absence({"adapter": "x", "place": A}, here)
    assert absence({"adapter": "x"}, here).startswith("its adapter is neither on this disk nor kept")


def test_a_server_is_the_same_however_its_address_is_written_and_a_disk_is_none(tmp_path: Path) -> None:
    def of(uri: str) -> str | None:
        return server(Tracking(tracking_uri=uri), tmp_path, {})

    assert of("https://me:secret@MLflow.example:443/") == of("https://mlflow.example") != ""
    assert of("https://mlflow.example") != of("https://other.example")
    assert of("sqlite:///.studio/mlflow.db") == of("file:///mnt/runs") == of("postgresql://u@db/mlflow") == ""
    hidden = Tracking(tracking_uri=SecretName(env="URI"))
    assert server(hidden, tmp_path, {}) is None
    assert is_on_a_disk(Tracking(), tmp_path, {}) and is_on_a_disk(Tracking(tracking_uri="/mnt/runs"), tmp_path, {})
    for elsewhere in ("https://mlflow.example", "postgresql://u@db/mlflow"):
        assert not is_on_a_disk(Tracking(tracking_uri=elsewhere), tmp_path, {})
    assert not is_on_a_disk(hidden, tmp_path, {})
    assert server(hidden, tmp_path, {"URI": "https://mlflow.example"}) == of("https://mlflow.example")
