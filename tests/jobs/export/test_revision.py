"""Revisions: what a manifest says of a thing is carried out where the thing is, once, and nothing else is touched."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from studio.core.fingerprints import folder_digest, tree
from studio.core.jobresult import RevisionOutput
from studio.core.jobspec import JobSpec

from ..conftest import spec_in
from ..workbench import failure, perform

TAGS = {"studio.key": "modelexport-release-1", "studio.fingerprint": "f" * 64}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    adapter = tmp_path / ".studio" / "runs" / "train" / "adapter"
    adapter.mkdir(parents=True)
    (adapter / "adapter_config.json").write_text("{}")
    (adapter / "adapter_model.safetensors").write_bytes(b"weights")
    (tmp_path / "copies").mkdir()
    return tmp_path


def copy(home: Path, **changes: str) -> JobSpec:
    source = ".studio/runs/train/adapter"
    wanted = {"source": source, "digest": folder_digest(tree(home / source)), "target": "copies/router", **changes}
    return spec_in(home, {"task": "revision", "copies": [wanted]}, "revision")


def changes(spec: JobSpec) -> tuple[str, ...]:
    output = perform(spec).output
    assert isinstance(output, RevisionOutput)
    return output.changes


def test_a_copy_is_made_once_and_made_whole_again_beside_what_others_put_there(home: Path) -> None:
    spec = copy(home)
    assert changes(spec) == ("a copy of the adapter in copies/router",)
    target = home / "copies" / "router"
    before = {path: path.stat().st_mtime_ns for path in target.iterdir()}
    (target / "notes.txt").write_text("mine")
    assert changes(spec) == () and all(path.stat().st_mtime_ns == time for path, time in before.items())
    (target / "adapter_model.safetensors").write_bytes(b"edited")
    assert len(changes(spec)) == 1 and (target / "adapter_model.safetensors").read_bytes() == b"weights"
    (target / "adapter_config.json").unlink()
    assert len(changes(spec)) == 1 and (target / "notes.txt").read_text() == "mine"


def test_a_copy_that_is_cut_short_is_none(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever finds weights in the copy takes them for the whole adapter."""
    real, copied = shutil.copyfile, []

    def full(source: Any, target: Any, **how: Any) -> Any:
        copied.append(source)
        if len(copied) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(source, target, **how)

    spec = copy(home)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", full)
        failure(spec)
    assert list((home / "copies").iterdir()) == []
    assert changes(spec) == ("a copy of the adapter in copies/router",)


def test_an_adapter_that_is_not_what_training_wrote_is_not_copied(home: Path) -> None:
    spec = copy(home)
    (home / ".studio" / "runs" / "train" / "adapter" / "adapter_model.safetensors").write_bytes(b"poison")
    assert "not those that training wrote" in failure(spec)
    shutil.rmtree(home / ".studio" / "runs" / "train")
    assert "is gone" in failure(spec) and not (home / "copies" / "router").exists()


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Any]]:
    """A project with one registered version."""
    from mlflow.tracking import MlflowClient

    home = tmp_path_factory.mktemp("registered")
    (home / ".studio").mkdir()
    client = MlflowClient(f"sqlite:///{home}/.studio/mlflow.db", f"sqlite:///{home}/.studio/mlflow.db")
    client.create_registered_model("router")
    client.create_model_version("router", str(home), tags={**TAGS, "reviewed": "yes"}, description="old words")
    yield home, client


def version(home: Path, **said: Any) -> JobSpec:
    wanted = {"model_name": "router", "model_version": "1", "description": "new words", "tags": TAGS, **said}
    return spec_in(home, {"task": "revision", "versions": [wanted]}, "revision")


def test_a_version_says_what_it_should_and_keeps_the_rest(registered: tuple[Path, Any]) -> None:
    home, client = registered
    assert changes(version(home)) == ("the description of router version 1",)
    assert changes(version(home)) == ()
    client.delete_model_version_tag("router", "1", "studio.key")
    assert changes(version(home)) == ("the tag studio.key of router version 1",)
    found = client.get_model_version("router", "1")
    assert found.description == "new words" and found.tags == {**TAGS, "reviewed": "yes"}
    assert changes(version(home, description="")) == ("the description of router version 1",)
    assert client.get_model_version("router", "1").description == ""


def test_a_version_that_is_gone_is_not_made_anew(registered: tuple[Path, Any]) -> None:
    home, client = registered
    assert "router version 7 is not in the registry any more" in failure(version(home, model_version="7"))
    assert len(client.search_model_versions("name = 'router'")) == 1
