"""The promotion example with real training: two clones, one shared state, one MLflow server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.tracking_server import tracking_server
from tests.projects import ROOT

pytestmark = pytest.mark.slow
EXAMPLE = ROOT / "examples" / "promotion"


def clone(folder: Path) -> Path:
    """A runner's checkout, set up as docs/operations.md says."""
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns(".studio", "generate"))
    settings = folder / "studio.yaml"
    text = settings.read_text("utf-8")
    text = text.replace("state: sqlite:///.studio/state.db", "state: {env: STUDIO_STATE_URL}")
    settings.write_text(text.replace('"sqlite:///.studio/mlflow.db"', "{env: MLFLOW_TRACKING_URI}"), "utf-8")
    return folder


def test_production_releases_what_the_pull_request_trained_on_another_machine(
    tmp_path: Path, empty_tracking: Path
) -> None:
    branch, main = clone(tmp_path / "branch"), clone(tmp_path / "main")
    (tmp_path / "server").mkdir()
    shutil.copyfile(empty_tracking, tmp_path / "server" / "mlflow.db")
    with tracking_server(tmp_path / "server") as address:
        variables = {
            "STUDIO_STATE_URL": f"sqlite:///{tmp_path}/state.db", "MLFLOW_TRACKING_URI": address, "NO_COLOR": "1",
        }  # fmt: skip

        def studio(root: Path, *arguments: str) -> str:
            done = subprocess.run(
                [sys.executable, "-m", "studio", *arguments], cwd=root, env={**os.environ, **variables},
                capture_output=True, text=True, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout

        def record(root: Path, environment: str, resource: str) -> dict[str, Any]:
            return dict(json.loads(studio(root, "show", resource, "--env", environment, "--json"))["record"])

        first = studio(branch, "apply", "--env", "pr")
        assert "Applied: 6 done." in first and "Spent: " in first and " in 3 jobs." in first
        shutil.rmtree(branch)  # the runner is gone, and its disk with it

        plan = studio(main, "plan", "--env", "prod")
        assert "= reuse   FineTuningJob/router" in plan and "= reuse   EvaluationJob/router-vs-base" in plan
        assert plan.count("      saves ") == 2 and "Reuse saves " in plan
        assert "+ create  ModelExport/release" in plan and "1 run on the same rows" in plan
        done = studio(main, "apply", "--env", "prod")
        assert "Applied: 4 done, 2 reused." in done and "foreseen: about" in done and "Reuse saved " in done
        assert "Nothing to do" in studio(main, "plan", "--env", "prod")

        trained = record(main, "prod", "FineTuningJob/router")["outcome"]["output"]
        fetched = main / ".studio" / "adapters" / trained["digest"]
        assert (fetched / "adapter_model.safetensors").is_file() and not (main / trained["adapter"]).exists()
        released = record(main, "prod", "ModelExport/release")["outcome"]["output"]
        assert (released["model_name"], released["model_version"]) == ("ticket-router", "1")
        assert "no drift" in studio(main, "drift", "--env", "prod").lower()
