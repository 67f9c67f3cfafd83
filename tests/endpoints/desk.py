"""A project with an endpoint, its clone in a workspace, and a clock that moves only while somebody waits."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from studio.backends import BACKENDS, cml
from studio.core.references import Ref
from studio.workflow import places
from tests import projects
from tests.backends.workspace.places import prepared
from tests.cli.front_door import Answer, ask
from tests.fakes.cml_server import Workspace
from tests.projects import Document, manifest

REVISION = "0123456789abcdef0123456789abcdef01234567"
SERVE = Ref("ModelExport", "serve")
SETTINGS = """apiVersion: studio/v1
kind: Project
metadata: {{name: desk}}
spec:
  backend: {{type: cml, url: "{url}", project_id: {project}}}
  environments:
    prod: {{}}
"""


def documents(**spec: Any) -> list[Document]:
    """A model of the hub, an adapter in the repository, and the endpoint that serves both."""
    hub = {"type": "huggingface", "huggingface_model_name": "acme/tiny", "revision": REVISION}
    export = {"type": "cml_model", "base_model": "tiny", "adapter": "router", "model_name": "router", **spec}
    return [
        manifest("Model", "tiny", hub),
        manifest("Adapter", "router", {"type": "project", "location": "adapters/router", "model": "tiny"}),
        manifest("ModelExport", "serve", export),
    ]


@dataclass
class Desk:
    """A project on this machine, and its clone in the workspace. Time passes only while somebody waits."""

    root: Path
    clone: Path
    cml: Workspace
    now: float = 1_800_000_000.0
    seconds: float = 0.0
    """What a pause takes in earnest: for jobs that really run."""

    def pause(self, seconds: float) -> None:
        self.now += seconds
        time.sleep(self.seconds)

    def write(self, *found: Document) -> None:
        settings = SETTINGS.format(url=self.cml.url, project=self.cml.project_id)
        for folder in (self.root, self.clone):
            projects.write(folder, found or documents(), settings)

    def apply(self, *options: str, code: int = 0) -> str:
        answer = self.ask("apply", "--yes", "--offline", *options)
        assert answer.code == code, answer.out + answer.err
        return answer.out + answer.err

    def plan(self, *options: str) -> str:
        answer = self.ask("plan", *options)
        assert answer.code == 0, answer.out + answer.err
        return answer.out

    def ask(self, *arguments: str) -> Answer:
        return ask(self.root, *arguments)

    def record(self, environment: str = "default") -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ask("state", "show", str(SERVE), "--env", environment).out)
        return found

    def served(self) -> dict[str, Any]:
        found: dict[str, Any] = self.record()["outcome"]["output"]
        return found

    def models(self) -> list[dict[str, Any]]:
        return list(self.cml.state.models.values())

    def builds(self) -> list[dict[str, Any]]:
        return list(self.cml.state.builds.values())

    def deployments(self) -> list[dict[str, Any]]:
        return [each.record for each in self.cml.state.deployments.values()]

    def up(self) -> dict[str, Any]:
        [found] = [each for each in self.deployments() if each["status"] == "deployed"]
        return found

    def variables(self) -> dict[str, str]:
        found: dict[str, str] = json.loads(self.up()["environment"])
        return found


@contextmanager
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> Iterator[Desk]:
    """``settings`` are of the workspace."""
    clone, root = tmp_path / "clone", tmp_path / "desk"
    for folder in (clone, root):
        projects.write_adapter(folder / "adapters" / "router", "acme/tiny")
        (folder / "cml").mkdir()
        shutil.copy(projects.ROOT / "cml" / "predict.py", folder / "cml")
    with prepared(clone, **settings) as workspace:
        made = Desk(root, clone, workspace)
        clock = cml.Time(lambda: made.now, made.pause, lambda: made.now, lambda: 0.0)
        monkeypatch.setitem(BACKENDS, "cml", lambda site: cml.backend(site, clock))
        monkeypatch.setattr(places, "pause", made.pause)
        monkeypatch.setattr(places, "clock", lambda: made.now)
        for name, value in workspace.environ().items():
            monkeypatch.setenv(name, value)
        made.write()
        yield made
