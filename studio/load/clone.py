"""A clone of the repository that manifests are taken from: git as a child process that asks nobody and runs no hook."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from studio.core.errors import StudioError, UsageError
from studio.core.secrets import redact

FETCH_SECONDS, CHECKOUT_SECONDS, LOOK_SECONDS = 120, 600, 60
"""The longest that a server, a disk full of models, and a look at the work tree may take."""
SYNCED = "refs/studio/synced"
"""Keeps what was fetched from being thrown away, and out of the way of the clone's own branches."""
TAKEN_UP = "refs/studio/taken-up"
"""What was put into the work tree last; a remote whose history was rewritten may not have it any more."""
MAX_OWN = 100
"""Commits of its own that are looked for in a clone."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./@+-]{0,250}")
_SAFE = (
    "-c", f"core.hooksPath={os.devnull}", "-c", "core.fsmonitor=false", "-c", "gc.auto=0",
    "-c", "maintenance.auto=false", "-c", "advice.detachedHead=false", "-c", "submodule.recurse=false",
)  # fmt: skip
_QUIET = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "/bin/false",
    "SSH_ASKPASS": "/bin/false",
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    "GIT_OPTIONAL_LOCKS": "0",
    "LC_ALL": "C",
}
"""A question that nobody answers would hang for ever; other protocols run programs that a URL names."""


class GitError(StudioError):
    """Git refused, or did not answer in time."""


@dataclass(frozen=True, slots=True)
class Clone:
    """A work tree with a remote. ``environ`` is that of the caller, for proxies and keys."""

    top: Path
    environ: Mapping[str, str]

    def fetch(self, remote: str, ref: str) -> str:
        """The commit that ``ref``, a branch or a whole name such as refs/heads/main, names there now."""
        branch = ref if ref.startswith("refs/") else f"refs/heads/{ref}"
        arguments = ("--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head")
        self._git(FETCH_SECONDS, "fetch", *arguments, "--", remote, f"+{branch}:{SYNCED}")
        return self._git(LOOK_SECONDS, "rev-parse", "--verify", f"{SYNCED}^{{commit}}")

    def head(self) -> str:
        """The commit that is checked out; "" in a clone without one."""
        try:
            return self._git(LOOK_SECONDS, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        except GitError:
            return ""

    def changes(self) -> list[str]:
        """Files that are not as committed, or in no commit; ignored ones and studio's own folder do not count."""
        listed = self._git(
            LOOK_SECONDS, "status", "--porcelain=v1", "-z", "--untracked-files=normal", "--ignore-submodules=none",
            "--", ":/", ":(top,exclude,glob)**/.studio/**",
        )  # fmt: skip
        return [entry[3:] for entry in listed.split("\0") if len(entry) > 3]

    def own(self) -> list[str]:
        """Commits that somebody made on what is checked out, newest first: no remote is known to have them."""
        known = ("--not", "--remotes", "--glob=refs/studio/*")
        return self._git(LOOK_SECONDS, "rev-list", f"--max-count={MAX_OWN}", "HEAD", *known, "--").split()

    def checkout(self, commit: str) -> None:
        """Put the commit's files into the work tree, on no branch."""
        self._git(CHECKOUT_SECONDS, "checkout", "--quiet", "--detach", "--no-recurse-submodules", commit, "--")

    def remember(self, commit: str) -> None:
        """Note what is in the work tree as the remote's, whatever becomes of the remote's history."""
        self._git(LOOK_SECONDS, "update-ref", TAKEN_UP, commit)

    def _git(self, seconds: int, *arguments: str) -> str:
        return _git(self.top, self.environ, seconds, *arguments)


def clone(folder: Path, environ: Mapping[str, str]) -> Clone:
    """The clone that ``folder`` is in; raises UsageError outside of one."""
    try:
        top = _git(folder, environ, LOOK_SECONDS, "rev-parse", "--show-toplevel")
    except GitError as error:
        raise UsageError(f"{folder} is in no git repository: {error.message}", "run it in a clone") from error
    return Clone(Path(top), environ)


def demand_name(name: str, option: str) -> None:
    """Raise UsageError for what is no remote or ref: nothing that begins with a dash reaches git's command line."""
    if not _NAME.fullmatch(name) or ".." in name or "//" in name or name.endswith((".lock", "/", ".")):
        raise UsageError(f"{name!r} is not a name that git takes", f"name a remote or branch with {option}")


def _git(folder: Path, environ: Mapping[str, str], seconds: int, *arguments: str) -> str:
    """What git prints; raises GitError with its own words. Whatever it started is ended with it."""
    inherited = {name: value for name, value in environ.items() if not name.startswith("GIT_") or name in _KEPT}
    inherited.setdefault("GIT_SSH_COMMAND", "ssh -o BatchMode=yes -o ConnectTimeout=20")
    command = ["git", *_SAFE, *arguments]
    try:
        child = subprocess.Popen(
            command, cwd=folder, env={**inherited, **_QUIET}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise GitError(f"git cannot be run: {error.strerror}", "install git") from error
    try:
        out, err = child.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as error:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
        raise GitError(f"git {arguments[0]} took more than {seconds} s", "check the server and the network") from error
    if child.returncode != 0:
        words = redact(" ".join(err.split())) or f"exit code {child.returncode}"
        raise GitError(f"git {arguments[0]}: {words[:500]}", f"try 'git {arguments[0]}' by hand in {folder}")
    return out.strip("\n")


_KEPT = frozenset({"GIT_SSH_COMMAND", "GIT_SSH", "GIT_SSL_CAINFO", "GIT_SSL_NO_VERIFY", "GIT_HTTP_USER_AGENT"})
"""How to reach a server; the rest of git's variables would point it at another repository."""
