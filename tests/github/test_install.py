"""The whole action, its installation from the package index included."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.github import FakeGitHub
from tests.github.runner import PULL_REQUEST, Job

pytestmark = pytest.mark.slow


@pytest.fixture
def index(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(tmp_path), "hatchling"]
    if subprocess.run(command, capture_output=True, timeout=120).returncode:
        pytest.skip("no package index can be reached from here")


@pytest.mark.usefixtures("index")
def test_a_runner_that_has_only_python_gets_studio_without_an_ml_library(
    workspace: Path, tmp_path: Path, github: FakeGitHub
) -> None:
    for name in ("venv", "ensurepip", "pip", "studio"):
        (workspace / f"{name}.py").write_text("print('TAKEN OVER')\nraise SystemExit(0)\n")
    temp = tmp_path / "temp"
    temp.mkdir()
    job = Job(workspace, temp, PULL_REQUEST, github.url)
    job.run_action()
    assert job.ok and "TAKEN OVER" not in job.log, job.log
    assert "4 to create" in github.comments[0]["body"]
    installed = {path.name for path in (temp / "studio-venv" / "lib").glob("*/site-packages/*")}
    assert {"studio", "psycopg"} <= installed and not {"torch", "transformers", "mlflow"} & installed
