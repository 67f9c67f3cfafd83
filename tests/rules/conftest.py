"""A sample project without a fault, a hub that knows it, and a way to check what an example makes of it."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from studio.checking import validate
from studio.core.findings import Finding, Phase
from studio.resources import KINDS, Kind
from studio.resources.base import DESCRIPTIVE, Resource, Spec, field
from tests.fakes.cml_server import KEY, Workspace, workspace
from tests.fakes.hub import FakeHub, Repo, serving
from tests.fakes.workspace.registry import MODEL_ID, logged, registered_model
from tests.projects import llama, safetensors
from tests.rules import examples
from tests.rules.examples import SAMPLE, Place

EMPTY_SAFETENSORS = (2).to_bytes(8, "little") + b"{}"
"""A header of two bytes, and no tensors."""
PICKLED = b"\x80\x04N."
FEATURES = {"dataset_info": {"features": [{"name": "text", "dtype": "string"}, {"name": "queue", "dtype": "string"}]}}


ADAPTER = {"adapter_config.json": b"{}", "adapter_model.safetensors": EMPTY_SAFETENSORS}


def adapter(base_model: str) -> Repo:
    """A repository of the hub with an adapter that names its base model."""
    config = json.dumps({"peft_type": "LORA", "base_model_name_or_path": base_model}).encode()
    return Repo(files={**ADAPTER, "adapter_config.json": config})


class StageSpec(Spec):
    after: str = field(DESCRIPTIVE, "The stage before this one.", "", references="Stage")


class Stage(Resource):
    """A kind that somebody adds: the shipped ones refer in one direction and cannot form a cycle."""

    kind: Literal["Stage"] = "Stage"
    spec: StageSpec


@dataclass(frozen=True, slots=True)
class Outcome:
    """What checking an example gave, and where its marked lines are."""

    findings: list[Finding]
    marked: list[Place]

    def at(self, id: str) -> list[Place]:
        """Where a rule found something."""
        placed = [finding.position for finding in self.findings if finding.rule == id]
        return [Place(position.file, position.line) for position in placed if position]


Check = Callable[..., Outcome]


class Copy:
    """A copy of a folder that becomes again what it was: copying it for each test costs as much as what they check."""

    def __init__(self, source: Path, root: Path) -> None:
        self.source, self.root = source, root
        shutil.copytree(source, root)
        self.looks = self._look()

    def restore(self) -> None:
        """Remove what was added and write anew what was touched; whatever was written has another time of change."""
        now = self._look()
        added = sorted(now.keys() - self.looks.keys(), reverse=True)  # what a folder holds before the folder
        for path in added:
            (path.rmdir if stat.S_ISDIR(now[path][0]) else path.unlink)()
        touched = [path for path, look in self.looks.items() if now.get(path) != look]  # a folder before what it holds
        for path in touched:
            source = self.source / path.relative_to(self.root)
            if source.is_dir():
                path.mkdir(exist_ok=True)
                shutil.copymode(source, path)
            else:
                shutil.copy2(source, path)
        if added or touched:
            self.looks = self._look()

    def _look(self) -> dict[Path, tuple[int, ...]]:
        return {path: _identity(path.lstat()) for path in self.root.rglob("*")}


def _identity(found: os.stat_result) -> tuple[int, ...]:
    if stat.S_ISDIR(found.st_mode):
        return (found.st_mode,)
    return (found.st_mode, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample project with the binary files that git should not hold."""
    root = tmp_path_factory.mktemp("sample") / "project"
    shutil.copytree(SAMPLE, root)
    for folder in ("no-tokenizer", "broken"):
        (root / "models" / folder / "model.safetensors").write_bytes(EMPTY_SAFETENSORS)
    (root / "models" / "tiny-llama" / "model.safetensors").write_bytes(safetensors(llama(layers=2)))
    broken = shutil.copytree(root / "models" / "tiny-llama", root / "models" / "broken-template")
    shutil.copy(root / "templates" / "broken.jinja", broken / "chat_template.jinja")
    for folder in ("imported", "of-another-model", "broken"):
        (root / "adapters" / folder / "adapter_model.safetensors").write_bytes(EMPTY_SAFETENSORS)
    (root / "models" / "pickled" / "pytorch_model.bin").write_bytes(PICKLED)
    (root / "adapters" / "pickled" / "adapter_model.bin").write_bytes(PICKLED)
    return root


@pytest.fixture(scope="session")
def copy(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Copy:
    return Copy(sample, tmp_path_factory.mktemp("copy") / "project")


@pytest.fixture
def project(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the sample project to write into. ``data/locked.csv`` cannot be opened, not even by root."""
    opened = Path.open
    cache = copy.root.parent / "cache"  # what a cache holds of this path is about another test's content
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))

    def refuse(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == "locked.csv":
            raise PermissionError(13, "Permission denied")
        return opened(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setitem(KINDS, "Stage", Kind(Stage))
    yield copy.root
    copy.restore()
    shutil.rmtree(cache, ignore_errors=True)


@pytest.fixture
def checked(project: Path) -> Check:
    """Check an example in the sample project."""

    def check(example: str, *phases: Phase) -> Outcome:
        marked = examples.write(example, project)
        return Outcome(validate(project, "default", phases or (Phase.STATIC,)).findings, marked)

    return check


@pytest.fixture(scope="session")
def hub() -> Iterator[FakeHub]:
    """A hub that knows what the sample project and the examples name."""
    card = json.loads(json.dumps(FEATURES))
    other = "0123456789abcdef0123456789abcdef01234567"
    repos = {
        ("datasets", "acme/tickets"): Repo(card=card, revisions=("main", other)),
        ("datasets", "acme/replies"): Repo(card=card, files={"README.md": b"# Replies\n"}),
        ("datasets", "acme/gated"): Repo(card=card, gated=True),
        ("datasets", "acme/secret"): Repo(private=True),
        ("datasets", "acme/flaky"): Repo(broken=True),
        ("models", "acme/tiny-llama"): Repo(revisions=("main", other)),
        ("models", "acme/small-llama"): Repo(files={"config.json": b"{}"}),
        ("models", "acme/gated"): Repo(gated=True),
        ("models", "acme/secret"): Repo(private=True),
        ("models", "acme/flaky"): Repo(broken=True),
        ("models", "acme/ticket-router"): adapter("acme/Tiny-Llama"),
        ("models", "acme/of-another-model"): adapter("acme/other-llama"),
        ("models", "acme/nameless-adapter"): Repo(files={**ADAPTER, "adapter_config.json": b"[" * 9000}),
        ("models", "acme/pickled-adapter"): Repo(files={"adapter_config.json": b"{}", "adapter_model.bin": b""}),
    }
    with serving(repos) as running:
        yield running


@pytest.fixture(scope="session")
def cml() -> Iterator[Workspace]:
    """A workspace whose registry knows what the examples name."""
    with workspace(
        None,
        registered_model(MODEL_ID, logged(), {}),
        registered_model("no-version"),
        registered_model("not-logged", {"model_version_metadata": {"mlops_type": "SIMPLE"}}, logged()),
        registered_model("no-run", logged(run="")),
    ) as running:
        yield running


@pytest.fixture
def online(hub: FakeHub, cml: Workspace, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    """Point the clients at the fakes: the hub without a token, the workspace with a key."""
    monkeypatch.setenv("CDSW_API_URL", f"{cml.url}/api/v1")
    monkeypatch.setenv("CDSW_APIV2_KEY", KEY)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)  # the jobs' tests are offline
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("HUGGINGFACE_ACCESS_TOKEN", raising=False)
    hub.requests.clear()
    return hub
