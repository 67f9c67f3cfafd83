"""A short run of what ``make crash`` does at length, and proof that the harness sees what it looks for."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest

from tests.cli.front_door import environment
from tests.crash import project
from tests.crash.backend import AGAIN, ASKED, EFFECT
from tests.crash.remains import Remains, Row, faults, read
from tests.crash.scenarios import SCENARIOS
from tests.projects import ROOT


def studio(root: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """One command of the harness in a process of its own."""
    variables = {project.STATE: project.SQLITE, **variables}
    return subprocess.run(
        [sys.executable, "-m", "tests.crash.studio", *arguments],
        cwd=root, env=environment(**variables), capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@pytest.mark.slow
def test_after_twenty_kills_every_job_was_submitted_once_and_every_record_is_complete(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash", "--kills", "20", "--json", str(figures)],
        cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = {each["scenario"]: each for each in json.loads(figures.read_text("utf-8"))}
    assert set(found) == set(SCENARIOS) and all(each["faults"] == {} for each in found.values())
    needed = project.TRAININGS + project.EVALUATIONS + project.EXPORTS + 1
    assert found["apply"]["kills"] >= 20 and found["apply"]["submissions"] == found["apply"]["lives"] * needed


@pytest.mark.slow
def test_a_process_is_killed_at_the_step_it_was_told_and_the_next_one_goes_on(tmp_path: Path) -> None:
    root, trace = project.write(tmp_path / "project", project.resources()), tmp_path / "trace"
    killed = studio(root, "apply", "--yes", CRASH_KILL_AT="60", CRASH_TRACE=str(trace))
    assert killed.returncode == -signal.SIGKILL
    assert len(trace.read_text("utf-8").splitlines()) == 60
    assert studio(root, "apply", "--yes").returncode == 1  # one job fails at first
    assert studio(root, "apply", "--yes").returncode == 0
    assert studio(root, "plan", "--detailed-exitcode").returncode == 0


@pytest.fixture(scope="module")
def well(tmp_path_factory: pytest.TempPathFactory) -> Remains:
    """What an undisturbed life leaves."""
    root = project.write(tmp_path_factory.mktemp("well") / "project", project.resources())
    for _ in range(2):
        studio(root, "apply", "--yes")
    found = read(root)
    shutil.rmtree(root)
    return found


def first(remains: Remains, table: str) -> Row:
    return remains.tables[table][0]


def job(remains: Remains) -> Row:
    return next(row for row in remains.tables["resources"] if row["kind"] == "FineTuningJob")


def submit_more(remains: Remains, what: str, attempt: int) -> None:
    remains.journal.append({**remains.journal[0], "what": what, "attempt": attempt})


def drop(remains: Remains, what: str) -> None:
    remains.journal.remove(next(line for line in remains.journal if line["what"] == what))


SPOILED: dict[str, tuple[Callable[[Remains], object], str]] = {
    "a job that was submitted as a further attempt": (lambda r: submit_more(r, EFFECT, 2), "more than needed"),
    "a job that was asked for again": (lambda r: submit_more(r, ASKED, 1), "although it existed"),
    "a job that was started again": (lambda r: submit_more(r, AGAIN, 1), "although it existed"),
    "a job that never ran": (lambda r: drop(r, EFFECT), "never submitted"),
    "a run left open": (lambda r: first(r, "runs").update(status="submitted"), "is submitted"),
    "a run without its handle": (lambda r: first(r, "runs").update(handle={}), "runs lacks"),
    "a record that is missing": (lambda r: r.tables["resources"].pop(), "resources lacks"),
    "a record without its outcome": (lambda r: job(r).update(outcome={}), "resources lacks"),
    "a record without an id": (lambda r: first(r, "resources").update(uid=""), "no id of its own"),
    "a record without times": (lambda r: first(r, "resources").update(updated_at=""), "no times"),
    "a file that nobody needs": (lambda r: r.files.add("x"), "x was left"),
    "a file that is gone": (lambda r: r.files.remove("studio.yaml"), "studio.yaml is missing"),
    "an artifact twice": (lambda r: r.tables["artifacts"].append(first(r, "artifacts")), "artifacts has"),
    "an operation without an end": (lambda r: first(r, "operations").update(outcome=""), "does not say so"),
}


@pytest.mark.parametrize("case", SPOILED)
def test_the_harness_notices(well: Remains, case: str) -> None:
    assert list(faults(well, well, well)) == []
    spoiled = deepcopy(well)
    spoil, words = SPOILED[case]
    spoil(spoiled)
    assert any(words in fault for fault in faults(spoiled, well, well))


def test_the_project_has_thirty_resources_and_half_of_them_are_jobs() -> None:
    kinds = [document["kind"] for document in project.resources()]
    jobs = [kind for kind in kinds if kind in ("FineTuningJob", "EvaluationJob", "ModelExport")]
    assert (len(kinds), len(jobs)) == (30, 15)
