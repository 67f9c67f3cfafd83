"""A saved plan is applied exactly, or refused with what moved on."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from studio.core.errors import StalePlanError, UsageError
from studio.plan import saved as saved_plan
from studio.plan.actions import Kept, Plan
from tests import projects
from tests.projects import support_desk, with_spec

SECRET = "hf_" + "a" * 30


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return projects.plan(projects.write(tmp_path, support_desk()))


def test_the_same_plan_gives_the_same_bytes_and_is_read_back(plan: Plan, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text(saved_plan.text(plan), "utf-8")
    assert saved_plan.text(plan) == file.read_text("utf-8")
    assert saved_plan.read(file) == saved_plan.content(plan)


def test_a_plan_that_is_made_again_is_the_saved_one(plan: Plan) -> None:
    saved = saved_plan.content(plan)
    saved_plan.demand_same(saved, plan)
    assert saved == saved_plan.content(plan)


@pytest.mark.parametrize(
    ("moved", "words"),
    [
        ({"environment": "prod"}, "it is for environment 'default', not 'prod'"),
        ({"lineage": "another"}, "it was made against another state"),
        ({"serial": 9}, r"state was changed since it was made \(serial 7, now 9\)"),
        ({"manifest_digest": "0" * 64}, "manifests, settings or the data they name were changed"),
        ({"actions": ()}, r"what would happen is different now \(Config/lora, .* and 4 more\)"),
        ({"kept": (Kept(projects.Ref("Model", "old"), "no manifest"),)}, "its content was changed"),
    ],
)
def test_whatever_moved_on_is_said(plan: Plan, moved: dict[str, Any], words: str) -> None:
    saved = saved_plan.content(replace(plan, lineage="lineage", serial=7))
    with pytest.raises(StalePlanError, match=words):
        saved_plan.demand_same(saved, replace(plan, **{"lineage": "lineage", "serial": 7, **moved}))


def test_a_job_that_ended_meanwhile_makes_no_plan_stale(plan: Plan) -> None:
    attached = replace(plan, actions=tuple(replace(action, attaches=True) for action in plan.actions))
    saved_plan.demand_same(saved_plan.content(attached), plan)
    assert attached != plan


@pytest.mark.parametrize("key", ["reason", "action", "fingerprint", "changes", "needs", "resources", "resource"])
def test_a_file_that_was_edited_is_refused(plan: Plan, key: str) -> None:
    saved = saved_plan.content(plan)
    saved["actions"][0][key] = "\x1b[2Jsomething else"
    with pytest.raises(StalePlanError) as refused:
        saved_plan.demand_same(saved, plan)
    assert "\x1b" not in refused.value.message


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "nan", '{"version": "1"}', "[" * 100_000, "\0",
     '{"version": 2}', '{"version": 2, "serial": ""}'],
)  # fmt: skip
def test_what_is_no_saved_plan_is_a_usage_error(tmp_path: Path, text: str) -> None:
    file = tmp_path / "plan.json"
    file.write_text(text, "utf-8")
    with pytest.raises(UsageError, match=r"plan\.json is (not a saved plan|damaged)"):
        saved_plan.read(file)


def test_a_plan_of_another_format_is_stale(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text(json.dumps({"version": 99}), "utf-8")
    with pytest.raises(StalePlanError, match="format 99; this studio reads format 2"):
        saved_plan.read(file)


@pytest.mark.parametrize("make", [lambda path: None, Path.mkdir], ids=["missing", "folder"])
def test_a_file_that_cannot_be_read_is_a_usage_error(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "plan.json")
    with pytest.raises(UsageError, match=re.escape("cannot be read")):
        saved_plan.read(tmp_path / "plan.json")


def test_a_secret_never_reaches_the_file(tmp_path: Path) -> None:
    before = projects.recorded(projects.wanted(projects.write(tmp_path, support_desk())))
    projects.write(tmp_path, with_spec(support_desk(), "Prompt", prompt_template="{text}" + SECRET))
    plan = projects.plan(tmp_path, before)
    assert SECRET in str(plan) and SECRET not in saved_plan.text(plan)
    saved_plan.demand_same(saved_plan.content(plan), plan)
