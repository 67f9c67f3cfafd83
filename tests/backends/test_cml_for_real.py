"""The quickstart on a workspace, for real: applied from outside, every job a run of the real script there.

The workspace is a stand-in on this machine; what travels, what is watched and what the jobs do is not.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.backends.workspace.places import add_template
from tests.fakes.cml_server import Workspace, workspace
from tests.fakes.workspace.traffic import asked_again_after_a_refusal
from tests.projects import ROOT

pytestmark = pytest.mark.slow

QUICKSTART = ROOT / "examples" / "quickstart"
TEMPLATES = ("Accel_Finetuning_Base_Job", "Mlflow_Evaluation_Base_Job", "Finetuning_Base_Job")
ENGINE = ROOT / "tests" / "fakes" / "engine"
"""With it on the path an engine can launch others, as in a workspace."""
ENVIRONMENT = """\
    cml:
      backend: {{type: cml, url: "{url}", project_id: "{id}"}}
      patches:
        - target: {{kind: FineTuningJob, name: router}}
          patch: {{spec: {{dataset_fraction: 0.1, num_workers: 2, num_cpu: 1, dist_cpu: 1, dist_mem: 2}}}}
        - target: {{kind: EvaluationJob, name: router-vs-base}}
          patch:
            spec: {{eval_dataset_fraction: 0.1, gates: [{{metric: exact_match, adapter: ticket-router, min: 0}}]}}
"""


class Desk:
    """A clone of the project outside the workspace, and what was applied from it."""

    def __init__(self, cml: Workspace, there: Path, here: Path) -> None:
        self.cml, self.there, self.here = cml, there, here

    def studio(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, **self.cml.environ(), "NO_COLOR": "1"}
        return subprocess.run(
            [sys.executable, "-m", "studio", *arguments, "-C", str(self.here), "--env", "cml"],
            capture_output=True, text=True, stdin=subprocess.DEVNULL, env=environ,
        )  # fmt: skip

    def record(self, resource: str) -> dict[str, Any]:
        return dict(json.loads(self.studio("show", resource, "--json").stdout)["record"])


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    there, here = (tmp_path_factory.mktemp(name) / "project" for name in ("there", "here"))
    variables = {**os.environ, "PYTHONPATH": f"{ENGINE}:{ROOT}", "OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1"}
    shutil.copytree(QUICKSTART, there, ignore=shutil.ignore_patterns(".studio", "generate"))
    shutil.copytree(ROOT / "cml", there / "cml")
    with workspace(there, limit=2, variables=variables) as cml:
        settings = (there / "studio.yaml").read_text() + ENVIRONMENT.format(url=cml.url, id=cml.project_id)
        (there / "studio.yaml").write_text(settings)
        shutil.copytree(there, here)
        for name in TEMPLATES:
            add_template(cml, name)
        cml.calls.clear()
        yield Desk(cml, there, here)


@pytest.fixture(scope="module")
def applied(desk: Desk) -> subprocess.CompletedProcess[str]:
    done = desk.studio("apply")
    assert done.returncode == 0, done.stdout + done.stderr + "".join(map(desk.cml.log, desk.cml.state.runs))
    return done


def test_training_evaluation_and_export_are_performed_there_and_nothing_is_left_to_do(
    desk: Desk, applied: subprocess.CompletedProcess[str]
) -> None:
    assert "Applied: 9 done." in applied.stdout
    again = desk.studio("plan", "--detailed-exitcode")
    assert again.returncode == 0 and "Nothing to do" in again.stdout, again.stdout + again.stderr
    runs = desk.there / ".studio" / "runs"
    assert len(list(runs.glob("finetuningjob-*/result.json"))) == 1
    assert len(list(runs.glob("evaluationjob-*/part-*/result.json"))) == 2
    assert not list((desk.here / ".studio").glob("runs/*"))


def test_each_job_is_created_and_run_once(desk: Desk, applied: subprocess.CompletedProcess[str]) -> None:
    assert desk.cml.count("create_job") == desk.cml.count("create_job_run") == 4
    assert {run.status for run in desk.cml.state.runs.values()} == {"ENGINE_SUCCEEDED"}
    assert asked_again_after_a_refusal(desk.cml.calls) == []


def test_two_engines_trained_together(desk: Desk, applied: subprocess.CompletedProcess[str]) -> None:
    (folder,) = (desk.there / ".studio" / "runs").glob("finetuningjob-*")
    assert "launching worker 1 of 1: 1 CPU, 2 GB, 0 GPU" in "".join(map(desk.cml.log, desk.cml.state.runs))
    assert (folder / "log-1.txt").exists() and not list(folder.glob("failure-*"))
    training = desk.record("FineTuningJob/router")["outcome"]["output"]
    assert (desk.there / training["adapter"] / "adapter_model.safetensors").is_file()


def test_the_evaluation_s_parts_are_compared_and_the_model_is_registered(
    desk: Desk, applied: subprocess.CompletedProcess[str]
) -> None:
    outcome = desk.record("EvaluationJob/router-vs-base")["outcome"]["output"]
    assert [each["adapter"] for each in outcome["combinations"]] == ["", "ticket-router"]
    export = desk.record("ModelExport/router-release")["outcome"]["output"]
    assert export["model_version"] == "1"


def test_the_log_is_read_from_the_workspace(desk: Desk, applied: subprocess.CompletedProcess[str]) -> None:
    shown = desk.studio("logs", "FineTuningJob/router")
    assert shown.returncode == 0 and "parameters are trained" in shown.stdout, shown.stdout + shown.stderr
