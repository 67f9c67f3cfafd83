"""A job of a workflow in a repository with a project, and the GitHub it talks to."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import projects
from tests.fakes.github import FakeGitHub, serving
from tests.github.runner import PULL_REQUEST, Job
from tests.projects import ROOT


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with serving() as fake:
        yield fake


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A checkout whose project is the repository's root: data, model, prompt and a config."""
    folder = projects.write(tmp_path / "desk", projects.data_resources())
    (folder / ".git").mkdir()
    return folder


@pytest.fixture
def job(workspace: Path, tmp_path: Path, github: FakeGitHub) -> Job:
    """A job after the step that installs studio: this checkout is what it installed."""
    return new_job(workspace, tmp_path / "temp", github)


def new_job(workspace: Path, temp: Path, github: FakeGitHub) -> Job:
    programs = temp / "studio-venv" / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    python = shlex.quote(sys.executable)
    write_program(programs / "python", f'exec {python} "$@"\n')
    write_program(programs / "studio", f'exec {python} -P -m studio "$@"\n')
    return Job(workspace, temp, PULL_REQUEST, github.url, {"PYTHONPATH": str(ROOT)})


def write_program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}")
    path.chmod(0o755)
