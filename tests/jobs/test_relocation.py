"""A project that was moved: what its MLflow has is found where it is now, and new runs go there."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from studio.core.jobspec import JobSpec
from studio.jobs import relocation, tracking

from . import workbench
from .conftest import spec_in

LOCATION = ".studio/artifacts"


def spec(home: Path, run: str) -> JobSpec:
    return spec_in(home, workbench.training(), run)


def log(home: Path, run: str) -> str:
    """Log a file and a registered model as a job does; the address of the run's artifacts."""
    job = spec(home, run)
    job.folder.mkdir(parents=True)
    (job.folder / "note.txt").write_text(run)
    with tracking.run(job) as tracked:
        tracked.log_file(job.folder / "note.txt")
        model = tracked.client.create_logged_model(tracked.experiment_id, run)
        folder = relocation.local_path(str(model.artifact_location))
        assert folder is not None
        folder.mkdir(parents=True)
        (folder / "MLmodel").write_text(run)
        if run == "first":
            tracked.client.create_registered_model("router")
        tracked.client.create_model_version("router", f"models:/{model.model_id}", tracked.run_id)
    return str(tracked.client.get_run(tracked.run_id).info.artifact_uri)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    home = tmp_path / "old place ü"
    home.mkdir()
    log(home, "first")
    return home


def addresses(home: Path) -> set[str]:
    """Every address in the project's database."""
    with sqlite3.connect(home / ".studio" / "mlflow.db") as opened:
        columns = [relocation.EXPERIMENTS, *relocation.CONTENT]
        found = {row[0] for table, column in columns for row in opened.execute(f"SELECT {column} FROM {table}")}
    opened.close()
    return {address for address in found if address and "/mlruns/" not in address and "models:/" not in address}


def test_a_moved_project_writes_to_its_new_place_and_its_models_are_there(old: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    old.rename(new)
    assert relocation.old_addresses(new / ".studio" / "mlflow.db", new, LOCATION) == [(old / LOCATION).as_uri()]
    uri = log(new, "second")
    assert uri.startswith((new / LOCATION).as_uri()) and not old.exists()
    assert all(address.startswith((new / LOCATION).as_uri()) for address in addresses(new))
    for folder in filter(None, map(relocation.local_path, addresses(new))):
        assert folder.is_dir()
    assert relocation.old_addresses(new / ".studio" / "mlflow.db", new, LOCATION) == []


def test_a_copied_project_leaves_the_original_alone(old: Path, tmp_path: Path) -> None:
    before = addresses(old)
    new = tmp_path / "copy"
    shutil.copytree(old, new)
    log(new, "second")
    assert addresses(old) == before and len(list((old / LOCATION).glob("*/*/note.txt"))) == 1
    assert all(address.startswith((new / LOCATION).as_uri()) for address in addresses(new))


def test_where_only_the_database_was_brought_along_what_is_stored_stays_known(old: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    (new / ".studio").mkdir(parents=True)
    shutil.copy(old / ".studio" / "mlflow.db", new / ".studio")
    log(new, "second")
    found = addresses(new)
    assert any(address.startswith((old / LOCATION).as_uri()) for address in found)
    assert any(address.startswith((new / LOCATION).as_uri()) for address in found)


def test_a_database_that_projects_share_is_nobodys_to_correct(old: Path, tmp_path: Path) -> None:
    shared, new = tmp_path / "shared.db", tmp_path / "new"
    shutil.copy(old / ".studio" / "mlflow.db", shared)
    before = shared.read_bytes()
    assert relocation.mend(shared, new, LOCATION) == [] and shared.read_bytes() == before


def test_another_database_and_none_at_all_are_left_as_they_are(tmp_path: Path) -> None:
    assert relocation.mend(tmp_path / "none.db", tmp_path, LOCATION) == []
    with sqlite3.connect(tmp_path / "other.db") as opened:
        opened.execute("CREATE TABLE experiments (name TEXT)")
    opened.close()
    assert relocation.mend(tmp_path / "other.db", tmp_path, LOCATION) == []
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize("address", ["s3://bucket/x", "mlflow-artifacts:/1", "https://host/x", "relative/x", ""])
def test_only_a_path_of_a_machine_is_a_folder(address: str) -> None:
    assert relocation.local_path(address) is None
