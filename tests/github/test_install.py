"""The whole action, its installation from the package index included."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.github import FakeGitHub
from tests.github.runner import PULL_REQUEST, Job
from tests.projects import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture
def index(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(tmp_path), "hatchling"]
    if subprocess.run(command, capture_output=True, timeout=120).returncode:
        pytest.skip("no package index can be reached from here")


@pytest.mark.usefixtures("index")
def test_pre_commit_installs_the_hooks_from_a_clone(tmp_path: Path) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("this is no clone")
    team = Path(shutil.copytree(ROOT / "examples" / "quickstart", tmp_path / "team"))
    subprocess.run(["git", "init", "--quiet"], cwd=team, check=True)
    subprocess.run(["git", "add", "--all"], cwd=team, check=True)
    environ = {**os.environ, "PRE_COMMIT_HOME": str(tmp_path / "hooks"), "PYTHONPATH": ""}
    done = subprocess.run(
        [sys.executable, "-m", "pre_commit", "try-repo", str(ROOT), "studio-validate", "--all-files", "--verbose"],
        cwd=team, env=environ, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0 and "Valid: 9 resources" in done.stdout, done.stdout + done.stderr


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
