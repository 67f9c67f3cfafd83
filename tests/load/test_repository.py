"""Where a project stands in its repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.load.repository import prefix_in_repository


@pytest.mark.parametrize(
    ("checkouts", "workspace", "prefix"),
    [
        ((), None, ""),
        (("",), None, "teams/support/"),
        (("teams",), None, "support/"),
        (("teams/support",), None, ""),
        (("", "teams"), None, "support/"),
        ((), "", "teams/support/"),
        (("teams",), "", "support/"),
        (("", "teams"), "", "teams/support/"),
        (("",), "teams", "support/"),
        (("",), "elsewhere", "teams/support/"),
        ((), "elsewhere", ""),
    ],
)
def test_the_prefix_leads_from_the_root_of_the_repository_to_the_project(
    tmp_path: Path, checkouts: tuple[str, ...], workspace: str | None, prefix: str
) -> None:
    project = tmp_path / "teams" / "support"
    project.mkdir(parents=True)
    for folder in checkouts:
        (tmp_path / folder / ".git").mkdir()
    environ = {} if workspace is None else {"GITHUB_WORKSPACE": str(tmp_path / workspace)}
    assert prefix_in_repository(project, environ) == prefix


def test_a_worktree_or_submodule_has_a_file_where_a_clone_has_a_folder(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: elsewhere\n")
    (tmp_path / "project").mkdir()
    assert prefix_in_repository(tmp_path / "project", {"GITHUB_WORKSPACE": ""}) == "project/"
