"""Running commands one after the other and saying what each cost; and the same number of resources for Terraform."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SETTLE = 2.5
"""Seconds until what was just written counts as left alone, see decision 5."""


@dataclass(frozen=True, slots=True)
class Cost:
    """One run: seconds of processor (user and system, children included) and of wall clock, megabytes of memory."""

    cpu: float
    wall: float
    memory: float
    printed: str = ""
    code: int = 0


def run(command: Sequence[str], folder: Path, cache: Path) -> Cost:
    """Run a command to its end; children that it waits for count with it."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(cache), "NO_COLOR": "1"}
    with tempfile.TemporaryFile() as printed:
        begun = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=environ, stdout=printed, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        printed.seek(0)
        text = printed.read().decode(errors="replace")
    scale = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return Cost(used.ru_utime + used.ru_stime, wall, used.ru_maxrss / scale, text, process.returncode)


def demand(command: Sequence[str], folder: Path, cache: Path, code: int = 0) -> Cost:
    """The same, for a command that must end with ``code``."""
    cost = run(command, folder, cache)
    if cost.code != code:
        raise SystemExit(f"{' '.join(command)} ended with {cost.code}:\n{cost.printed[-2000:]}")
    return cost


def least(costs: Sequence[Cost]) -> Cost:
    """The least time of several runs, and the most memory."""
    return Cost(min(c.cpu for c in costs), min(c.wall for c in costs), max(c.memory for c in costs))


def terraform_project(size: int, folder: Path) -> Path:
    """As many ``terraform_data`` resources, each with four values and one reference; initialized, offline."""
    folder.mkdir()
    named = ['resource "terraform_data" "r0" {\n  input = "0"\n}\n']
    named += [
        f'resource "terraform_data" "r{n}" {{\n  input = {{\n    name  = "router-{n}"\n    team  = "team-{n}"\n'
        f'    rate  = "{n}"\n    needs = terraform_data.r{n - 1 - (n - 1) % 20}.id\n  }}\n}}\n'
        for n in range(1, size)
    ]
    (folder / "main.tf").write_text("\n".join(named))
    demand(["terraform", "init", "-input=false"], folder, folder)
    return folder


def machine() -> str:
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def load_average() -> float:
    """Of the last minute; how busy the machine was with other things."""
    return round(os.getloadavg()[0], 1)


def save(file: Path | None, content: dict[str, Any]) -> None:
    """Write the figures as JSON, when a file is named."""
    if file:
        file.write_text(json.dumps({"machine": machine(), **content}, indent=2) + "\n")
