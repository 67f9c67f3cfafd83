"""The shell in workflows and actions, and the tools that judge both."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.github.runner import read
from tests.projects import ROOT

ACTION = ROOT / "action.yml"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def steps(path: Path) -> Iterator[dict[str, Any]]:
    """Every step of a workflow or of a composite action."""
    content = read(path)
    jobs = content["jobs"].values() if "jobs" in content else [content["runs"]]
    yield from (step for job in jobs for step in job["steps"])


def complaints(*command: str, given: str = "", cwd: Path = ROOT) -> str:
    """What a tool of the test group prints; "" when it has nothing to complain of."""
    found = shutil.which(command[0], path=str(Path(sys.executable).parent)) or shutil.which(command[0])
    assert found, f"{command[0]} is not installed; it belongs to the dependency group test"
    done = subprocess.run([found, *command[1:]], input=given, capture_output=True, text=True, timeout=120, cwd=cwd)
    return "" if done.returncode == 0 else done.stdout + done.stderr
