"""The hooks as pre-commit runs them, in a repository of a team."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fakes.github import FakeGitHub
from tests.github.conftest import new_job
from tests.github.shell import complaints
from tests.projects import ROOT

HOOKS = ROOT / ".pre-commit-hooks.yaml"


@pytest.fixture
def team(workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, github: FakeGitHub) -> Path:
    """A git repository that has our hooks; ``language: system`` spares the installation, the rest is as published."""
    programs = new_job(workspace, tmp_path / "temp", github).temp / "studio-venv" / "bin"
    hooks: list[dict[str, Any]] = [{**hook, "language": "system"} for hook in yaml.safe_load(HOOKS.read_text())]
    for hook in hooks:
        hook["entry"] = hook["entry"].replace("studio", str(programs / "studio"), 1)
    configuration = {"repos": [{"repo": "local", "hooks": hooks}]}
    (workspace / ".git").rmdir()
    (workspace / ".pre-commit-config.yaml").write_text(yaml.safe_dump(configuration))
    (workspace / ".gitignore").write_text(".studio/\n")
    monkeypatch.chdir(workspace)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PRE_COMMIT_HOME", str(tmp_path / "hooks"))
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
        monkeypatch.delenv(name, raising=False)
    subprocess.run(["git", "init", "--quiet"], check=True)
    commit()
    return workspace


def commit() -> None:
    subprocess.run(["git", "add", "--all"], check=True)
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *identity, "commit", "--quiet", "--no-verify", "-m", "change"], check=True)


def hook(team: Path, name: str) -> str:
    """What pre-commit prints when the hook fails; "" when it passes."""
    return complaints("pre-commit", "run", "--all-files", "--color=never", name, cwd=team)


def test_the_hooks_file_is_what_pre_commit_understands() -> None:
    assert complaints("pre-commit", "validate-manifest", str(HOOKS)) == ""


def test_the_security_linter_has_nothing_to_complain_of() -> None:
    assert complaints("zizmor", "--offline", "--persona=pedantic", "--collect=pre-commit", str(HOOKS)) == ""


def test_validate_passes_and_then_shows_the_finding(team: Path) -> None:
    assert hook(team, "studio-validate") == ""
    file = team / "manifests" / "all.yaml"
    file.write_text(file.read_text().replace('"dataset": "tickets"', '"dataset": "tickts"'))
    assert "tickts" in hook(team, "studio-validate")


def test_fmt_lays_out_what_is_committed_and_then_passes(team: Path) -> None:
    (team / "manifests" / "all.yaml").write_text(
        "apiVersion:   studio/v1\nkind: Config\nmetadata:\n     name: lora\nspec:\n     type: lora_config\n"
        "     config: {r: 8}\n"
    )
    commit()
    assert "files were modified by this hook" in hook(team, "studio-fmt")
    commit()
    assert hook(team, "studio-fmt") == ""
