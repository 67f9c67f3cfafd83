"""What the Makefile decides before it runs anything."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


def make_here(clone: Path, folder: Path) -> list[str]:
    """`make here` in `clone`, with a virtual environment that runs this repository; answers how pip was called.

    What is installed is on the path of a Python in isolation (-I); any other finds the folder where it stands first.
    """
    programs = folder / "venv" / "bin"
    programs.mkdir(parents=True)
    calls = folder / "pip-calls"
    python = (
        f'export PYTHONPATH="{REPOSITORY}"\n'
        f'if [ "$1" = -I ]; then shift; exec "{sys.executable}" -P "$@"; fi\n'
        f'exec "{sys.executable}" "$@"'
    )
    for name, line in {"python": python, "pip": f'echo "$@" >> "{calls}"'}.items():
        (programs / name).write_text(f"#!/bin/sh\n{line}\n")
        (programs / name).chmod(0o755)
    installed = ["-o", f"{folder}/venv/bin/pip"]
    key = subprocess.run(
        ["sh", "-c", "cat constraints.txt pyproject.toml | cksum | cut -d' ' -f1"],
        cwd=clone,
        capture_output=True,
        text=True,
    ).stdout.strip()
    (folder / "venv" / f".train-{key}").touch()
    subprocess.run(["make", *installed, "here", f"VENV={folder}/venv"], cwd=clone, check=True, capture_output=True)
    return calls.read_text().splitlines() if calls.exists() else []


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
class TestASharedVirtualEnvironment:
    def test_that_runs_another_clone_is_pointed_at_this_one(self, tmp_path: Path) -> None:
        clone = tmp_path / "clone"
        (clone / "studio" / "cli").mkdir(parents=True)
        for package in ("studio", "studio/cli"):
            (clone / package / "__init__.py").touch()
        for name in ("Makefile", "constraints.txt", "pyproject.toml"):
            shutil.copy(REPOSITORY / name, clone)

        assert make_here(clone, tmp_path) == ["--disable-pip-version-check --quiet install --no-deps -e ."]

    def test_that_runs_this_clone_is_left_alone(self, tmp_path: Path) -> None:
        assert make_here(REPOSITORY, tmp_path) == []
