"""Whatever is generated is what the code generates now."""

from __future__ import annotations

import subprocess
import sys

from tests.projects import ROOT


def generate(*arguments: str, seed: str = "0") -> subprocess.CompletedProcess[str]:
    environment = {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed}
    command = [sys.executable, str(ROOT / "docs" / "generate.py"), *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


def test_schemas_rule_pages_and_reference_are_up_to_date_in_every_process() -> None:
    for seed in ("1", "2"):
        done = generate("--check", seed=seed)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done.stdout + done.stderr
