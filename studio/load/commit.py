"""Who is applying what: the commit and the person, read from the environment and from git."""

from __future__ import annotations

import getpass
import subprocess
from collections.abc import Mapping
from pathlib import Path


def commit(root: Path, environ: Mapping[str, str]) -> str:
    """The commit of the project's files, with ``-dirty`` when they differ from it; "" outside a repository."""
    head = environ.get("GITHUB_SHA") or _git(root, "rev-parse", "HEAD")
    if not head:
        return ""
    return f"{head}-dirty" if _git(root, "status", "--porcelain", "--", ".") else head


def actor(environ: Mapping[str, str]) -> str:
    """Who runs the command: the CI's actor, else the login name."""
    if environ.get("GITHUB_ACTOR"):
        return environ["GITHUB_ACTOR"]
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
