"""The guide to pull requests: its workflows can be copied as they are, and its tables are those of the action."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.github.runner import Job, read
from tests.github.shell import ACTION, complaints, steps
from tests.projects import ROOT

GUIDE = (ROOT / "docs" / "pull-requests.md").read_text("utf-8")
BLOCKS = dict(re.findall(r"^[^\n]*`([\w./-]+\.ya?ml)`:\n\n```yaml\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL))
WORKFLOWS = [name for name in BLOCKS if name.startswith(".github/workflows/")]
LINTER = (
    "rules:\n  unpinned-uses: {disable: true} # readers choose: the guide names a release, and says what never moves\n"
)


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with what the guide shows."""
    folder = tmp_path_factory.mktemp("team")
    for name, content in BLOCKS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    (folder / "zizmor.yml").write_text(LINTER)
    return folder


def test_the_guide_shows_three_workflows_and_the_hooks() -> None:
    assert [Path(name).stem for name in WORKFLOWS] == ["manifests", "apply", "format"]
    assert list(BLOCKS)[3:] == [".pre-commit-config.yaml"]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_of_the_guide_is_valid_and_safe(copied: Path, name: str) -> None:
    file = str(copied / name)
    assert complaints("check-jsonschema", "--builtin-schema", "vendor.github-workflows", file) == ""
    assert complaints("check-jsonschema", "--builtin-schema", "custom.github-workflows-require-timeout", file) == ""
    linted = complaints("zizmor", "--offline", "--persona=pedantic", f"--config={copied / 'zizmor.yml'}", file)
    assert linted == ""


def test_the_hooks_of_the_guide_are_those_there_are(copied: Path) -> None:
    assert complaints("pre-commit", "validate-config", str(copied / ".pre-commit-config.yaml")) == ""
    published = set(re.findall(r"- id: (\S+)", (ROOT / ".pre-commit-hooks.yaml").read_text()))
    assert set(re.findall(r"- id: (\S+)", BLOCKS[".pre-commit-config.yaml"])) == published


def test_the_guide_uses_the_action_with_inputs_and_outputs_that_it_has(copied: Path) -> None:
    action = read(ACTION)
    for name in WORKFLOWS:
        for step in steps(copied / name):
            if step.get("uses", "").startswith("OWNER/fine-tuning-studio@"):
                assert step["with"].keys() <= action["inputs"].keys()
        named = re.findall(r"steps\.plan\.outputs\.([\w-]+)", BLOCKS[name])
        assert set(named) <= {*action["outputs"], "changes"}


def test_the_tables_of_the_guide_are_complete() -> None:
    action = read(ACTION)
    listed = re.findall(r"^\| (`[\w-]+`(?:, `[\w-]+`)*) \|", GUIDE, re.MULTILINE)
    names = [name for cell in listed for name in re.findall(r"`([\w-]+)`", cell)]
    assert names == [*action["inputs"], *action["outputs"]]
    for name, given in action["inputs"].items():
        if "{{" not in given["default"]:
            default = f"`{given['default']}` " if given["default"] else ""
            assert f"| `{name}` | {default}|" in GUIDE, name


def test_the_plan_in_the_guide_s_apply_is_applied_by_its_own_step(copied: Path, job: Job) -> None:
    job.run_action(ROOT, ["Install studio"], sarif="false", comment="false")
    plans = Path(job.outputs["plans"])
    (plans / "default.plan.json").rename(job.temp / "prod.plan.json")  # where download-artifact puts it
    content = read(copied / ".github/workflows/apply.yml")
    job.environ = {**job.environ, "PATH": f"{job.temp / 'studio-venv' / 'bin'}:/usr/bin:/bin"}
    job.run_steps(content["jobs"]["apply"]["steps"], {"needs": {}}, {}, {})
    assert job.ok and "Applied: 4 done" in job.log, job.log
