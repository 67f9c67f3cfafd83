"""The composite action on a pull request, step by step for real, against a GitHub on a local socket."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests import projects
from tests.cli.front_door import ask
from tests.fakes.github import Answer, FakeGitHub, Trouble
from tests.github.conftest import new_job
from tests.github.runner import FORK, Job
from tests.projects import ROOT

INSTALL = ["Install studio"]
SETTINGS = projects.SETTINGS + (
    "spec:\n  environments:\n    dev: {}\n"
    "    prod: {patches: [{target: {kind: Config}, patch: {spec: {config: {r: 4}}}}]}\n"
)
SECRET = projects.SETTINGS + "spec: {state: {env: DESK_STATE}}\n"
MARKER = "<!-- fine-tuning-studio project=. environment=default -->"


def act(job: Job, **inputs: str) -> None:
    job.run_action(ROOT, INSTALL, **inputs)


def again(job: Job, github: FakeGitHub) -> Job:
    """The job of the next push to the same pull request."""
    github.requests.clear()
    return new_job(job.workspace, job.temp, github)


def misspell(workspace: Path) -> None:
    file = workspace / "manifests" / "all.yaml"
    file.write_text(file.read_text().replace('"dataset": "tickets"', '"dataset": "tickts"'))


def uploaded(job: Job) -> list[Path]:
    return [Path(given["sarif_file"]) for name, given in job.used if name.startswith("github/codeql-action/")]


def test_a_first_run_comments_the_plan_and_writes_summary_and_outputs(job: Job, github: FakeGitHub) -> None:
    act(job)
    assert job.ok, job.log
    body = github.comments[0]["body"]
    assert body.startswith(f"{MARKER}\n### Plan for `default`: 4 to create")
    assert "Dataset/tickets" in body and "studio plan --project . --env default" in body
    assert job.summary.strip() == body.removeprefix(MARKER).strip()
    assert (job.outputs["errors"], job.outputs["warnings"], job.outputs["changes"]) == ("0", "0", "default")
    assert uploaded(job) == [Path(job.outputs["sarif"])]
    assert json.loads((uploaded(job)[0] / "default.sarif").read_text())["version"] == "2.1.0"


@pytest.mark.slow
def test_the_saved_plan_is_the_one_that_apply_takes(job: Job) -> None:
    act(job)
    plan = Path(job.outputs["plans"]) / "default.plan.json"
    applied = ask(job.workspace, "apply", "--yes", str(plan))
    assert applied.code == 0, applied.out + applied.err
    act(job)
    assert job.outputs["changes"] == "" and "nothing to do" in job.summary


def test_errors_become_annotations_and_sarif_and_fail_the_job_only_after_the_comment(
    job: Job, github: FakeGitHub
) -> None:
    misspell(job.workspace)
    act(job)
    assert not job.ok
    assert job.ran == ["Validate and plan", "Comment on the pull request", "Fail when there is something to mend"]
    assert "::error file=manifests/all.yaml,line=" in job.log
    assert job.outputs["errors"] == "1" and job.outputs["changes"] == ""
    assert "no plan" in github.comments[0]["body"] and "tickts" in github.comments[0]["body"]
    assert len(json.loads((uploaded(job)[0] / "default.sarif").read_text())["runs"][0]["results"]) == 1


def test_a_project_below_the_root_is_named_and_its_annotations_lead_to_its_files(
    tmp_path: Path, job: Job, github: FakeGitHub
) -> None:
    misspell(projects.write(job.workspace / "teams" / "desk", projects.data_resources()))
    act(job, project="teams/desk")
    assert "::error file=teams/desk/manifests/all.yaml,line=" in job.log
    assert github.comments[0]["body"].startswith(
        "<!-- fine-tuning-studio project=teams/desk environment=default -->\n"
        "## Fine Tuning Studio: <code>teams/desk</code>\n"
    )


@pytest.mark.slow
def test_a_comment_is_updated_in_place_and_an_unchanged_one_is_not_written(job: Job, github: FakeGitHub) -> None:
    act(job)
    act(again(job, github))
    assert github.writes == []
    misspell(job.workspace)
    act(again(job, github))
    assert github.writes == ["PATCH /repos/owner/desk/issues/comments/1001"]
    assert len(github.comments) == 1 and "tickts" in github.comments[0]["body"]


@pytest.mark.slow
def test_a_deleted_comment_is_made_once_more(job: Job, github: FakeGitHub) -> None:
    act(job)
    github.comments.clear()
    act(again(job, github))
    act(again(job, github))
    assert len(github.comments) == 1 and github.writes == []


@pytest.mark.slow
def test_two_environments_have_a_comment_each_and_one_summary(job: Job, github: FakeGitHub) -> None:
    (job.workspace / "studio.yaml").write_text(SETTINGS)
    act(job, environments="dev\nprod dev")
    assert job.ok, job.log
    assert [comment["body"].split("\n")[1] for comment in github.comments] == [
        "### Plan for `dev`: 4 to create, 0 unchanged",
        "### Plan for `prod`: 4 to create, 0 unchanged",
    ]
    assert job.outputs["changes"] == "dev prod"
    assert sorted(path.name for path in Path(job.outputs["plans"]).iterdir()) == ["dev.plan.json", "prod.plan.json"]
    assert job.summary.count("### Plan for") == 2


@pytest.mark.slow
def test_the_same_finding_in_two_environments_is_one_annotation(job: Job) -> None:
    (job.workspace / "studio.yaml").write_text(SETTINGS)
    misspell(job.workspace)
    act(job, environments="dev prod")
    assert job.log.count("::error file=manifests/all.yaml") == 1 and job.outputs["errors"] == "2"


def test_a_fork_gets_everything_but_comment_and_upload(job: Job, github: FakeGitHub) -> None:
    github.may_write = False
    job.event = FORK
    act(job)
    assert job.ok, job.log
    assert github.comments == [] and uploaded(job) == []
    assert "### Plan for `default`: 4 to create" in job.summary
    assert "::notice title=Fine Tuning Studio::GitHub answered 403" in job.log
    assert job.outputs["changes"] == "default"


@pytest.mark.slow
def test_a_fork_without_the_secret_of_the_state_is_still_validated(job: Job, github: FakeGitHub) -> None:
    (job.workspace / "studio.yaml").write_text(SECRET)
    github.may_write = False
    job.event = FORK
    act(job)
    assert job.ok, job.log
    assert "No plan for" in job.summary and "DESK_STATE is not set" in job.summary and "fork" in job.summary
    misspell(job.workspace)
    act(job)
    assert not job.ok and "::error file=manifests/all.yaml" in job.log


def test_elsewhere_a_missing_secret_fails_the_job(job: Job, github: FakeGitHub) -> None:
    (job.workspace / "studio.yaml").write_text(SECRET)
    act(job)
    assert not job.ok and "DESK_STATE is not set" in github.comments[0]["body"]


@pytest.mark.slow
def test_a_plan_too_long_for_a_comment_is_folded_and_says_so(job: Job, github: FakeGitHub) -> None:
    several = [projects.manifest("Config", f"config-{n:04}", {"type": "lora_config", "config": {"r": 8}})
               for n in range(1500)]  # fmt: skip
    for each in several:
        each["metadata"]["description"] = "x" * 40
        each["spec"]["config"]["lora_alpha"] = int(each["metadata"]["name"][-4:]) + 1
    projects.write(job.workspace, several)
    act(job)
    assert job.ok, job.log
    body = github.comments[0]["body"]
    assert 40_000 < len(body) <= 65_000
    assert "1500 to create" in body and "more" in body
    assert "Config/config-1499" in job.log


def test_findings_too_long_for_a_comment_are_cut_and_the_summary_has_them(job: Job, github: FakeGitHub) -> None:
    several = [projects.manifest("Prompt", f"p-{n}", {"dataset": "none", "prompt_template": "x"}) for n in range(400)]
    projects.write(job.workspace, several)
    act(job, plan="false")
    body = github.comments[0]["body"]
    assert 60_000 < len(body) <= 65_000 and body.rstrip().endswith("The summary of the job has it all._")
    assert body.count("```") == 2
    assert "Prompt/p-399" in job.summary


def test_what_a_pull_request_puts_into_the_checkout_is_never_imported(job: Job) -> None:
    for name in ("json", "venv", "clip", "studio", "sitecustomize", "github_api", "html"):
        (job.workspace / f"{name}.py").write_text("print('TAKEN OVER')\nraise SystemExit(0)\n")
    act(job)
    assert job.ok and "TAKEN OVER" not in job.log and "4 to create" in job.summary


HOSTILE = "a b;$(touch pwned)`id`::error::x%0A<!-- --><script>|[l](http:x)@team.yaml"


def test_hostile_file_names_stay_text(job: Job, github: FakeGitHub) -> None:
    misspell(job.workspace)
    manifests = job.workspace / "manifests"
    (manifests / "all.yaml").rename(manifests / HOSTILE.replace("/", "_"))
    (manifests / "two\n::error::injected\n.yaml").write_text("kind: [")
    act(job)
    assert not job.ok
    assert not list(job.workspace.rglob("pwned")) and "\n::error::" not in f"\n{job.log}"
    body = github.comments[0]["body"]
    visible = [line for line in body.splitlines() if "team.yaml" in line]
    assert visible and all(line.count("`") >= 2 for line in visible)
    assert int(job.outputs["errors"]) >= 2


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"project": "nowhere"}, "no such folder"),
        ({"environments": " \n "}, "names none"),
        ({"plan": "yes"}, "write true or false"),
        ({"environments": "--help"}, "--help"),
        ({"environments": "$(touch${IFS}pwned)"}, "pwned"),
    ],
)
def test_a_wrong_input_is_explained_in_log_and_summary(job: Job, inputs: Mapping[str, str], said: str) -> None:
    act(job, **inputs)
    assert not job.ok and not list(job.workspace.rglob("pwned"))
    assert said in job.log and said in job.summary


def test_without_a_plan_the_comment_has_the_findings(job: Job, github: FakeGitHub) -> None:
    misspell(job.workspace)
    act(job, plan="false")
    assert "### Findings in" in github.comments[0]["body"] and "tickts" in github.comments[0]["body"]
    assert list(Path(job.outputs["plans"]).iterdir()) == []


def test_comment_and_upload_can_be_switched_off(job: Job, github: FakeGitHub) -> None:
    act(job, comment="false", sarif="false")
    assert job.ok and github.requests == [] and uploaded(job) == [] and "4 to create" in job.summary


def test_outside_a_pull_request_there_is_a_summary_and_no_comment(job: Job, github: FakeGitHub) -> None:
    job.event = {"ref": "refs/heads/main"}
    act(job)
    assert job.ok and github.requests == [] and "4 to create" in job.summary and len(uploaded(job)) == 1


def test_a_server_that_is_down_costs_the_comment_and_not_the_job(job: Job, github: FakeGitHub) -> None:
    far: dict[str, Any] = {"message": "API rate limit exceeded"}
    github.trouble = [Trouble("GET", Answer(429, far, {"Retry-After": "3600"}))]
    act(job)
    assert job.ok and github.comments == [] and "::warning title=Fine Tuning Studio::GitHub's rate limit" in job.log
