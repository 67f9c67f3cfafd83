"""What a new user ran into: each stays mended."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from studio.load.files import read_text
from studio.load.problems import Fault, Problem

QUICKSTART = Path(__file__).resolve().parents[2] / "examples" / "quickstart"


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    root = tmp_path / "desk"
    shutil.copytree(QUICKSTART, root, ignore=shutil.ignore_patterns(".studio", "generate"))
    return root


def studio(root: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "studio", *arguments, "-C", str(root)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **variables},
    )


def test_nothing_of_a_file_outside_the_project_is_ever_shown(desk: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("password of the machine\n")
    (desk / "manifests" / "link.yaml").symlink_to(tmp_path / "secret")
    done = studio(desk, "validate")
    assert done.returncode == 1 and "leaves the project" in done.stdout
    assert "password of the machine" not in done.stdout + done.stderr


def test_a_pipe_among_the_manifests_is_a_problem_and_not_a_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.yaml")
    found = read_text(tmp_path, "p.yaml")
    assert isinstance(found, Problem) and found.fault is Fault.UNREADABLE


def test_an_editors_lock_file_is_no_manifest(desk: Path) -> None:
    (desk / "manifests" / ".#data.yaml").symlink_to("someone@somewhere.1234")
    assert studio(desk, "validate").returncode == 0


def test_a_file_in_the_way_of_the_state_is_explained(desk: Path) -> None:
    (desk / ".studio").write_text("in the way")
    done = studio(desk, "apply")
    assert done.returncode == 1 and "bug" not in done.stderr and ".studio" in done.stderr


def test_no_color_means_no_color(desk: Path) -> None:
    assert "\x1b[" not in studio(desk, "plan", NO_COLOR="1").stdout


def test_the_version_is_an_option_too(desk: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "studio", "--version"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("studio")


@pytest.mark.slow
def test_a_stopped_ci_run_leaves_the_job_running_and_the_plan_says_so(desk: Path) -> None:
    only = ("--env", "short", "--target", "FineTuningJob/router")  # what comes after it is nothing to this
    command = [sys.executable, "-m", "studio", "apply", *only, "-C", str(desk)]
    applying = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    started = time.monotonic()
    while not list((desk / ".studio" / "runs").glob("finetuningjob-*/supervisor.json")):
        assert time.monotonic() - started < 60
        time.sleep(0.1)
    time.sleep(1.0)
    applying.send_signal(signal.SIGTERM)
    _, said = applying.communicate(timeout=60)
    assert applying.returncode == 130 and "Still running: FineTuningJob/router" in said
    assert "apply attaches" in studio(desk, "plan", *only).stdout
    assert "running" in studio(desk, "status", "--env", "short").stdout
    done = studio(desk, "apply", *only)
    assert done.returncode == 0 and "attached to the running job" in done.stdout
    assert "Nothing to do" in studio(desk, "plan", *only).stdout
