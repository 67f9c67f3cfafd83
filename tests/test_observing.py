"""What only watches a training, and what jobs decide themselves, makes nothing run again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from studio.libraries.decided import IGNORED
from studio.libraries.observing import WATCHING, determining
from studio.plan.actions import Plan
from studio.resources.base import Effect
from tests import projects
from tests.projects import support_desk, verbs, with_spec

BASE = projects.pick(support_desk(), "FineTuningJob")["spec"]["training_arguments_config"]


def replanned(root: Path, **arguments: Any) -> Plan:
    past = projects.recorded(projects.wanted(projects.write(root, support_desk())))
    documents = with_spec(support_desk(), "FineTuningJob", training_arguments_config={**BASE, **arguments})
    return projects.plan(projects.write(root, documents), past)


@pytest.mark.parametrize(
    "arguments",
    [{"logging_steps": 5}, {"log_level": "info", "disable_tqdm": True}, {"report_to": "none"}, {"run_name": "mine"}],
    ids=str,
)
def test_a_key_that_only_watches_updates_the_record_and_trains_nothing(
    tmp_path: Path, arguments: dict[str, Any]
) -> None:
    plan = replanned(tmp_path, **arguments)
    assert verbs(plan) == {"FineTuningJob/train": "update"}
    job = next(each for each in plan.actions if each.ref.kind == "FineTuningJob")
    assert {change.effect for change in job.changes} == {Effect.DESCRIPTIVE}


@pytest.mark.parametrize("arguments", [{"save_steps": 5}, {"eval_strategy": "steps"}, {"seed": 1}, {"warmup_steps": 2}])
def test_a_key_that_may_touch_the_weights_trains_again(tmp_path: Path, arguments: dict[str, Any]) -> None:
    assert verbs(replanned(tmp_path, **arguments))["FineTuningJob/train"] == "replace"


def test_the_config_itself_is_recorded_anew(tmp_path: Path) -> None:
    def documents(steps: int) -> list[projects.Document]:
        config = {"type": "training_arguments", "config": {**BASE, "logging_steps": steps}}
        named = with_spec(support_desk(), "FineTuningJob", training_arguments_config="arguments")
        return [*named, projects.manifest("Config", "arguments", config)]

    past = projects.recorded(projects.wanted(projects.write(tmp_path, documents(1))))
    assert verbs(projects.plan(projects.write(tmp_path, documents(2)), past)) == {"Config/arguments": "update"}


def test_other_types_lose_only_what_jobs_decide_themselves() -> None:
    assert determining("lora_config", {"r": 8, "logging_steps": 1}) == {"r": 8, "logging_steps": 1}
    assert determining("generation_config", {"max_length": 9, "top_k": 1}) == {"top_k": 1}
    assert not WATCHING["training_arguments"].keys() & {"seed", "save_steps", "eval_steps"}
    assert set(IGNORED) >= set(WATCHING) and determining("custom", {"a": 1}) == {"a": 1}


def test_line_breaks_of_a_manifest_change_nothing(tmp_path: Path) -> None:
    before = projects.fingerprints(projects.write(tmp_path, support_desk()))
    file = tmp_path / "manifests" / "all.yaml"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert projects.fingerprints(tmp_path) == before
