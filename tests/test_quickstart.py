"""The main job on the quickstart, for real: trained, evaluated, registered, loaded back, and nothing left to do."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

QUICKSTART = Path(__file__).resolve().parents[1] / "examples" / "quickstart"
ASK = """
import json, sys
import mlflow
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/ticket-router/1")
print("ANSWERS " + json.dumps(list(model.predict(json.loads(sys.argv[2])))))
"""


def studio(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "studio", *arguments, "-C", str(root)],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, env={**os.environ, "NO_COLOR": "1"},
    )  # fmt: skip


def shown(root: Path, resource: str) -> dict[str, Any]:
    return dict(json.loads(studio(root, "show", resource, "--json").stdout)["record"])


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, subprocess.CompletedProcess[str]]]:
    root = tmp_path_factory.mktemp("quickstart") / "project"
    shutil.copytree(QUICKSTART, root, ignore=shutil.ignore_patterns(".studio", "generate"))
    yield root, studio(root, "apply")


def test_the_quickstart_goes_from_manifests_to_a_registered_model(
    applied: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    root, done = applied
    assert done.returncode == 0, done.stdout + done.stderr
    assert "tokens/s" in done.stdout and "Applied: 9 done." in done.stdout
    assert "Nothing to do" in studio(root, "plan", "--detailed-exitcode").stdout
    assert studio(root, "plan", "--detailed-exitcode").returncode == 0


def test_the_adapter_beats_the_base_on_rows_that_training_did_not_see(
    applied: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    outcome = shown(applied[0], "EvaluationJob/router-vs-base")["outcome"]
    base, adapter = (each["metrics"]["exact_match"] for each in outcome["output"]["combinations"])
    assert base <= 0.10 and adapter >= 0.60
    assert [verdict["passed"] for verdict in outcome["verdicts"]] == [True, True]
    training = shown(applied[0], "FineTuningJob/router")["outcome"]["output"]
    assert outcome["output"]["rows"] == training["held_out_rows"]


def test_everything_a_job_leaves_behind_is_there_and_no_pickle_is_among_it(
    applied: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    root = applied[0]
    training = shown(root, "FineTuningJob/router")["outcome"]["output"]
    assert (root / training["adapter"] / "adapter_model.safetensors").is_file()
    assert (root / training["curve"]).read_bytes().startswith(b"\x89PNG")
    for each in shown(root, "EvaluationJob/router-vs-base")["outcome"]["output"]["combinations"]:
        lines = (root / each["predictions"]).read_text().splitlines()
        assert lines[0].startswith("prompt") or "expected" in lines[0]
    kept = [path.name for path in (root / training["adapter"]).rglob("*")]
    assert not [name for name in kept if name.endswith((".bin", ".pt", ".pkl"))]


def test_the_registered_model_is_loaded_back_and_answers(
    applied: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    root = applied[0]
    questions = [
        "### CUSTOMER: My parcel should have been here last week, where is it?\n### QUEUE:",
        "### CUSTOMER: I forgot my password and cannot log in to my account\n### QUEUE:",
    ]
    asked = subprocess.run(
        [sys.executable, "-c", ASK, f"sqlite:///{root}/.studio/mlflow.db", json.dumps(questions)],
        capture_output=True, text=True, cwd=root,
    )  # fmt: skip
    answers = next(line for line in asked.stdout.splitlines() if line.startswith("ANSWERS "))
    late, locked = json.loads(answers.removeprefix("ANSWERS "))
    assert "delivery-late" in late and "account-access" in locked, asked.stdout + asked.stderr


@contextmanager
def serving(root: Path, *arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """``studio serve`` once it is ready: its address and its process."""
    command = [sys.executable, "-m", "studio", "serve", *arguments, "--port", "0", "-C", str(root)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        found = re.search(r" at (http://\S+): loading", process.stdout.readline())
        assert found, process.communicate()
        while (line := process.stdout.readline()) and not line.startswith("ready"):
            pass
        assert line, process.communicate()
        yield found[1], process
    finally:
        process.kill()
        process.wait()


def post(url: str, body: Any) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


@pytest.mark.parametrize("resource", ["ModelExport/router-release", "ticket-router"])
def test_what_was_released_and_what_was_trained_answer_as_they_were_evaluated(
    applied: tuple[Path, subprocess.CompletedProcess[str]], resource: str
) -> None:
    root = applied[0]
    adapted = shown(root, "EvaluationJob/router-vs-base")["outcome"]["output"]["combinations"][1]
    with (root / adapted["predictions"]).open(newline="") as stream:
        rows = list(csv.DictReader(stream))[:25]
    with serving(root, resource, "--generation", "greedy") as (url, process):
        guide = [post(f"{url}/predict", {"request": {"prompt": row["prompt"]}})["response"] for row in rows]
        name = resource.rpartition("/")[2]
        openai = [post(f"{url}/v1/completions", {"model": name, "prompt": row["prompt"]}) for row in rows]
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert guide == [each["choices"][0]["text"] for each in openai] == [row["prediction"] for row in rows]
    assert process.returncode == 130 and out.endswith("ended; 50 answered\n")


def test_a_new_description_changes_the_record_and_runs_nothing(
    applied: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    root = applied[0]
    manifest = root / "manifests" / "router.yaml"
    manifest.write_text(
        manifest.read_text().replace("metadata: {name: router,", "metadata: {name: router, title: Router,")
    )
    plan = json.loads(studio(root, "plan", "--json").stdout)
    changed = [action for action in plan["actions"] if action["action"] != "none"]
    assert [(each["resource"], each["action"]) for each in changed] == [("FineTuningJob/router", "update")]
    assert studio(root, "apply").returncode == 0
    assert "Nothing to do" in studio(root, "plan").stdout
