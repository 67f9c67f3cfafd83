"""Every example is a project that validates, plans the same twice, and that nothing changes by looking at it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.front_door import ask
from tests.projects import ROOT, snapshot

EXAMPLES = sorted(path.parent.name for path in (ROOT / "examples").glob("*/studio.yaml"))


@pytest.fixture
def example(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    ignored = shutil.ignore_patterns(".studio", "__pycache__", ".ruff_cache")
    return Path(shutil.copytree(ROOT / "examples" / request.param, tmp_path / request.param, ignore=ignored))


def test_there_are_examples_and_each_folder_is_one() -> None:
    folders = sorted(path.name for path in (ROOT / "examples").iterdir() if path.is_dir())
    assert EXAMPLES and folders == EXAMPLES


@pytest.mark.parametrize("example", EXAMPLES, indirect=True)
def test_an_example_validates_without_a_finding(example: Path) -> None:
    content = json.loads(ask(example, "validate", "--format", "json").out)
    assert content["findings"] == []


@pytest.mark.parametrize("example", EXAMPLES, indirect=True)
def test_an_examples_plan_is_the_same_twice_and_writes_nothing(example: Path) -> None:
    before = snapshot(example)
    one, other = ask(example, "plan", "--json"), ask(example, "plan", "--json")
    assert one == other and one.code == 0
    assert {action["action"] for action in json.loads(one.out)["actions"]} == {"create"}
    assert snapshot(example) == before


@pytest.mark.slow
@pytest.mark.parametrize("example", ["user-script"], indirect=True)
def test_a_script_of_ones_own_trains_an_adapter_that_beats_the_base(example: Path) -> None:
    done = ask(example, "apply")
    assert done.code == 0, done.out + done.err
    assert ask(example, "plan", "--detailed-exitcode").code == 0
    outcome = json.loads(ask(example, "show", "EvaluationJob/router-vs-base", "--json").out)["record"]["outcome"]
    assert [verdict["passed"] for verdict in outcome["verdicts"]] == [True]
    base, adapter = (each["metrics"]["perplexity"] for each in outcome["output"]["combinations"])
    assert adapter < 10 < base
