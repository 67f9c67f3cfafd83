"""Where Axolotl is."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.core.errors import JobError
from studio.jobs.training.axolotl import home
from tests.fakes import axolotl_environment


def test_a_variable_or_a_path_in_the_project_names_the_python_and_nothing_is_run(tmp_path: Path) -> None:
    trap = tmp_path / "ran"
    python = axolotl_environment.build(tmp_path / ".axolotl", program=f"touch {trap}; exit 1;")
    by_path = home.find(".axolotl/bin/python", tmp_path, {})
    assert by_path == home.find("env:AX", tmp_path, {"AX": str(python)}) == home.Home(python, "0.19.0")
    assert not trap.exists()


@pytest.mark.parametrize(
    ("said", "version", "words"),
    [
        ("env:AX", "0.19.0", "the variable AX that should name it is not set"),
        ("env:GONE", "0.19.0", "gone does not exist"),
        ("env/bin", "0.19.0", "env/bin is not a program"),
        ("env/bin/python", "", "has no axolotl installed beside it"),
        ("env/bin/python", "0.16.1", "has axolotl 0.16.1; configurations are written for 0.19"),
    ],
)
def test_what_is_missing_is_said_with_what_to_do(tmp_path: Path, said: str, version: str, words: str) -> None:
    axolotl_environment.build(tmp_path / "env", version)
    with pytest.raises(JobError, match=words) as caught:
        home.find(said, tmp_path, {"GONE": str(tmp_path / "gone")})
    assert "docs/training.md" in caught.value.hint
