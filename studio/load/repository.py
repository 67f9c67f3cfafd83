"""Where a project stands in its repository: what reviews and code scanning call a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

WORKSPACE = "GITHUB_WORKSPACE"


def prefix_in_repository(root: Path, environ: Mapping[str, str]) -> str:
    """The folders from the repository's root down to ``root``, such as ``teams/support/``; "" when they are the same.

    In a GitHub workflow the outermost checkout counts, so that a submodule's files are those of the repository around
    it; a checkout into a folder of the workspace is its own repository. Elsewhere the nearest ``.git`` counts.
    """
    root = root.resolve()
    workspace = Path(environ[WORKSPACE]).resolve() if environ.get(WORKSPACE) else None
    inside = workspace is not None and root.is_relative_to(workspace)
    above = [folder for folder in (root, *root.parents) if not inside or folder.is_relative_to(workspace or root)]
    checkouts = [folder for folder in above if (folder / ".git").exists()]
    outermost, nearest = (checkouts or above)[-1], (checkouts or [root])[0]
    top = outermost if inside else nearest
    relative = root.relative_to(top).as_posix()
    return "" if relative == "." else f"{relative}/"
