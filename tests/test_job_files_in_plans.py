"""Scripts and files of settings are part of the job that reads them: a plan tells when they changed, and which."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from studio.checking import Checked
from studio.compile import Target, compile_job
from studio.core.jobspec import TrainingWork
from studio.core.references import Ref
from studio.plan.actions import Plan
from studio.state.sql import EmptyState
from studio.workflow import planning
from tests import projects
from tests.projects import support_desk, with_spec

JOB = Ref("FineTuningJob", "train")
SCRIPT = {"user_script": "scripts/train.py", "user_config": {"rounds": 2}}
SETTINGS = {"num_gpu": 1, "num_workers": 2, "training_arguments_config": {"deepspeed": "config/zero.json"}}
AXOLOTL = {"framework_type": "axolotl", "num_gpu": 1, "num_workers": 2}
DEEPSPEED = {**AXOLOTL, "axolotl_config": {"datasets": [{"type": "alpaca"}], "deepspeed": "config/zero.json"}}
CHAT = {"type": "chat_template", "chat_template": "jinja", "chat_template_jinja": "templates/desk.jinja"}
TEMPLATE = {**AXOLOTL, "axolotl_config": {"datasets": [CHAT]}}
TEMPLATE_FOR_ALL = {
    **AXOLOTL, "axolotl_config": {"datasets": [{"type": "chat_template"}], "chat_template": "jinja",
                                  "chat_template_jinja": "templates/desk.jinja"},
}  # fmt: skip
FILES = {
    "templates/desk.jinja": "{{ messages[0].content }}",
    "scripts/train.py": "import losses",
    "scripts/losses.py": "def loss(): ...",
    "scripts/other.py": "x = 1",
    "config/zero.json": '{"zero_optimization": {"stage": 2}}',
}


def project(root: Path, spec: dict[str, Any]) -> Path:
    projects.write(root, with_spec(support_desk(), "FineTuningJob", **spec))
    for name, content in FILES.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(content)
    return root


def replanned(root: Path, spec: dict[str, Any], name: str, content: str) -> Plan:
    """The plan after ``name`` changed in an applied project."""
    before = projects.recorded(projects.wanted(project(root, spec)))
    (root / name).write_text(content)
    return projects.plan(root, before)


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        (SCRIPT, "scripts/train.py"),
        (SCRIPT, "scripts/losses.py"),
        (SETTINGS, "config/zero.json"),
        (DEEPSPEED, "config/zero.json"),
        (TEMPLATE, "templates/desk.jinja"),
        (TEMPLATE_FOR_ALL, "templates/desk.jinja"),
    ],
)
def test_a_changed_file_runs_the_job_again_and_is_named(tmp_path: Path, spec: dict[str, Any], name: str) -> None:
    plan = replanned(tmp_path, spec, name, FILES[name] + " ")
    action = next(each for each in plan.actions if each.ref == JOB)
    assert str(action.verb) == "replace" and action.reason == f"content/{name} changed"


LEGACY_SETTINGS = {**DEEPSPEED, "axolotl_config": {"datasets": [{"type": "alpaca"}]}}


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        (SCRIPT, "scripts/other.py"),
        ({}, "scripts/train.py"),
        ({**LEGACY_SETTINGS, "training_arguments_config": {"deepspeed": "config/zero.json"}}, "config/zero.json"),
    ],
)
def test_a_file_that_the_job_does_not_read_changes_nothing(tmp_path: Path, spec: dict[str, Any], name: str) -> None:
    assert replanned(tmp_path, spec, name, FILES[name] + " ").pending == ()


def test_a_module_that_is_imported_now_is_told(tmp_path: Path) -> None:
    plan = replanned(tmp_path, SCRIPT, "scripts/train.py", "import losses, other")
    action = next(each for each in plan.actions if each.ref == JOB)
    told = {change.path: change.reason for change in action.changes}
    assert told["content/scripts/other.py"] == "is used now"


def test_more_workers_mean_more_rows_a_step_and_the_plan_says_so(tmp_path: Path) -> None:
    assert reason_of_workers(tmp_path, support_desk()) == "a step learns from batch × accumulation × workers rows"


def test_what_more_workers_mean_to_a_script_of_ones_own_only_the_script_knows(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("pass")
    scripted = with_spec(support_desk(), "FineTuningJob", user_script="train.py")
    assert reason_of_workers(tmp_path, scripted) == "determines the outcome"


def reason_of_workers(root: Path, manifests: Any) -> str:
    before = projects.recorded(projects.wanted(projects.write(root, manifests)))
    projects.write(root, with_spec(manifests, "FineTuningJob", num_workers=2))
    action = next(each for each in projects.plan(root, before).actions if each.ref == JOB)
    return next(change.reason for change in action.changes if change.path == "spec.num_workers")


def test_the_job_is_told_what_the_plan_saw(tmp_path: Path) -> None:
    root = project(tmp_path, SCRIPT)
    found = planning.plan(root, "default")
    assert isinstance(found, planning.Planned), found.findings
    target = Target(root, found.checked.loaded.settings, "default", "")
    work = compile_job(found.desire.items[JOB], found.desire, target, EmptyState(), 1).work
    assert isinstance(work, TrainingWork)
    assert sorted(work.files) == ["scripts/losses.py", "scripts/train.py"] and all(map(len, work.files.values()))


@pytest.mark.parametrize("name", ["tasks/queues.yaml", "tasks/rows.jsonl"])
def test_a_file_in_the_folder_of_tasks_is_part_of_the_evaluation(name: str, tmp_path: Path) -> None:
    asked = {"tasks": ["hellaswag"], "tasks_dir": "tasks"}
    projects.write(tmp_path, with_spec(support_desk(), "EvaluationJob", **asked))
    (tmp_path / "tasks").mkdir()
    for each in ("tasks/queues.yaml", "tasks/rows.jsonl"):
        (tmp_path / each).write_text("{}")
    before = projects.recorded(projects.wanted(tmp_path))
    (tmp_path / name).write_text("{ }")
    [action] = [each for each in projects.plan(tmp_path, before).actions if each.ref == Ref("EvaluationJob", "compare")]
    assert str(action.verb) == "replace" and action.reason == f"content/{name} changed"


def test_a_link_that_leaves_the_project_is_no_file_of_a_job(tmp_path: Path) -> None:
    outside = tmp_path / "outside.jinja"
    outside.write_text(FILES["templates/desk.jinja"])
    root = project(tmp_path / "desk", TEMPLATE)
    (root / "templates" / "desk.jinja").unlink()
    (root / "templates" / "desk.jinja").symlink_to(outside)
    found = planning.plan(root, "default")
    assert isinstance(found, Checked)
    [error] = found.errors
    assert (error.rule, error.path[-1]) == ("FT-062", "chat_template_jinja") and "leaves the project" in error.message
