"""Workflows and the action against GitHub's schemas, a security linter, a shell linter; and apply.yml for real."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import projects
from tests.cli.front_door import ask
from tests.fakes.github import FakeGitHub
from tests.github.conftest import new_job
from tests.github.runner import Job, read
from tests.github.shell import ACTION, WORKFLOWS, complaints, steps
from tests.projects import ROOT

FILES = [ACTION, *WORKFLOWS]
NAMES = [path.name for path in FILES]
RUNNER = ["GITHUB_ACTION_PATH", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "RUNNER_TEMP"]
SCRIPTS = [
    pytest.param(
        step["run"], [*RUNNER, *read(path).get("env", {}), *step.get("env", {})], id=f"{path.name}-{step['name']}"
    )
    for path in FILES
    for step in steps(path)
    if "run" in step
]
_PINNED = re.compile(r"[\w./-]+@[0-9a-f]{40}")


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_file_follows_github_s_schema(path: Path) -> None:
    schema = "vendor.github-actions" if path == ACTION else "vendor.github-workflows"
    assert complaints("check-jsonschema", "--builtin-schema", schema, str(path)) == ""


def test_updates_of_pinned_versions_are_asked_for() -> None:
    file = str(ROOT / ".github" / "dependabot.yml")
    assert complaints("check-jsonschema", "--builtin-schema", "vendor.dependabot", file) == ""
    assert complaints("zizmor", "--offline", "--persona=pedantic", "--collect=dependabot", file) == ""


def test_every_job_has_a_time_limit() -> None:
    schema = "custom.github-workflows-require-timeout"
    assert complaints("check-jsonschema", "--builtin-schema", schema, *map(str, WORKFLOWS)) == ""


def test_the_security_linter_has_nothing_to_complain_of() -> None:
    files = [str(path) for path in FILES]
    assert complaints("zizmor", "--offline", "--persona=pedantic", "--collect=all", *files) == ""


@pytest.mark.parametrize(("script", "known"), SCRIPTS)
def test_the_shell_linter_has_nothing_to_complain_of(script: str, known: list[str]) -> None:
    told = f"export {'=1 '.join(known)}=1\n"  # what is not among them is a misspelling
    styles = "SC2250,SC2292"  # $name without braces and [ ] are fine
    assert (
        complaints("shellcheck", "--shell=bash", "--enable=all", f"--exclude={styles}", "-", given=told + script) == ""
    )


@pytest.mark.parametrize(("script", "known"), SCRIPTS)
def test_no_expression_is_pasted_into_shell(script: str, known: list[str]) -> None:
    assert "${{" not in script, "pass it through env:"


def test_actions_of_others_are_pinned_to_one_commit_each() -> None:
    used = {step["uses"] for path in FILES for step in steps(path) if "uses" in step} - {"./"}
    assert all(_PINNED.fullmatch(name) for name in used)
    assert len({name.partition("@")[0] for name in used}) == len(used)


def test_the_action_s_programs_are_typed_and_need_the_standard_library_only() -> None:
    folder = ROOT / "action"
    names = sorted(path.name for path in folder.glob("*.py"))
    typed = complaints("mypy", "--config-file=", "--strict", f"--cache-dir={ROOT / '.mypy_cache'}", *names, cwd=folder)
    assert typed == ""
    imported = re.findall(
        r"^(?:from|import) (\w+)", "".join((folder / name).read_text() for name in names), re.MULTILINE
    )
    assert set(imported) <= {*sys.stdlib_module_names, *(Path(name).stem for name in names)}


def test_no_workflow_runs_a_pull_request_s_code_with_the_repository_s_rights() -> None:
    for path in WORKFLOWS:
        content = read(path)
        assert not {"pull_request_target", "workflow_run", "issue_comment"} & set(content["on"]), path
        assert content["permissions"] == {}, path


def run_job(job: Job, name: str, needs: dict[str, Any] | None = None) -> None:
    """The shell steps of a job of apply.yml, but those that install."""
    content = read(ROOT / ".github" / "workflows" / "apply.yml")
    kept = [step for step in content["jobs"][name]["steps"] if "Install" not in step["name"]]
    job.environ = {**job.environ, **content["env"], "PROJECT": str(job.workspace), "ENVIRONMENT": "default"}
    job.environ |= {"PATH": f"{job.temp / 'studio-venv' / 'bin'}:/usr/bin:/bin"}
    job.run_steps(kept, {"needs": needs or {}}, {}, {})


@pytest.mark.slow
def test_after_a_merge_the_saved_plan_is_applied_and_then_there_is_nothing_to_do(job: Job, github: FakeGitHub) -> None:
    run_job(job, "plan")
    assert job.ok and job.steps["plan"]["outputs"] == {"changes": "true"}, job.log
    assert [name.partition("@")[0] for name, _ in job.used][-1] == "actions/upload-artifact"
    assert job.used[-1][1]["path"] == str(job.temp / "plan.json") and "4 to create" in job.summary
    run_job(job, "apply")
    assert job.ok, job.log
    assert "Dataset/tickets" in job.summary.rpartition("```text")[2]
    later = new_job(job.workspace, job.temp, github)
    run_job(later, "plan")
    assert later.steps["plan"]["outputs"] == {"changes": "false"}
    assert [name.partition("@")[0] for name, _ in later.used] == ["actions/checkout", "actions/setup-python"]


def test_a_plan_that_is_stale_is_refused_and_the_job_still_says_what_is_there(job: Job) -> None:
    run_job(job, "plan")
    csv = job.workspace / "data" / "tickets.csv"
    csv.write_text(csv.read_text() + "one more,card\n")
    run_job(job, "apply")
    assert not job.ok and "stale" in job.log
    assert "```text" in job.summary


def test_a_project_with_errors_has_no_plan_to_apply(job: Job) -> None:
    projects.write(job.workspace, projects.with_spec(projects.data_resources(), "Prompt", dataset="tickts"))
    run_job(job, "plan")
    assert not job.ok and "tickts" in job.summary and not (job.temp / "plan.json").exists()


def test_this_repository_s_own_pull_requests_use_the_action_as_others_do(job: Job) -> None:
    content = read(ROOT / ".github" / "workflows" / "manifests.yml")
    given = next(step for step in content["jobs"]["plan"]["steps"] if step.get("uses") == "./")["with"]
    assert given.keys() <= read(ACTION)["inputs"].keys()
    names = json.loads(ask(ROOT / given["project"], "validate", "--json", "--env", "short").out)["summary"]
    assert names["error"] == 0 and given["environments"].split() == ["default", "short"]
