"""Keep one comment per project and environment on the pull request: made once, changed only when its text changes.

A comment is found by a marker on its first line, and only among comments of whoever the token belongs to: anybody may
write a comment with our marker into it, and whoever wrote a comment may change it later.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from clip import clip
from github_api import ATTEMPTS, GitHub, RefusedError, UnavailableError
from workflow_commands import annotate

IN_SUMMARY = "The summary of the job has it all."
LONGEST = 65_000
"""GitHub refuses a comment of more than 65,536 characters."""
Comment = dict[str, Any]


def main() -> int:
    """Write every comment that has to be written; returns a process exit code."""
    event = json.loads(Path(os.environ["GITHUB_EVENT_PATH"]).read_text("utf-8"))
    number = (event.get("pull_request") or {}).get("number")
    if not isinstance(number, int):
        print(f"Not a pull request: no comment. {IN_SUMMARY}")
        return 0
    reports = json.loads(Path(os.environ["REPORTS"]).read_text("utf-8"))
    github = GitHub(os.environ["GITHUB_API_URL"], os.environ["GITHUB_TOKEN"])
    thread = Thread(github, f"/repos/{os.environ['GITHUB_REPOSITORY']}/issues", number)
    try:
        for report in reports:
            mark = marker(report["project"], report["environment"])
            text = Path(report["file"]).read_text("utf-8")
            done = thread.keep(mark, f"{mark}\n{clip(text, LONGEST - len(mark) - 1, IN_SUMMARY)}")
            print(f"Comment for environment {report['environment']}: {done}.")
    except RefusedError as error:
        return _refused(error)
    except UnavailableError as error:
        annotate("warning", f"{error}. No comment was written. {IN_SUMMARY}")
    return 0


def _refused(error: RefusedError) -> int:
    """A token without the right to comment is what a fork gets, no fault; a token that is none is a fault."""
    if error.status == 401:
        annotate("error", f"{error}. The input github-token is no valid token.")
        return 1
    hint = "A pull request from a fork may not comment; elsewhere, give the job the permission pull-requests: write."
    annotate("notice", f"{error}. No comment was written. {IN_SUMMARY} {hint}")
    return 0


def marker(project: str, environment: str) -> str:
    """The first line of a comment. Quoted, so that no name can end the HTML comment or look like another's marker."""
    names = {"project": project, "environment": environment}
    said = " ".join(f"{key}={quote(value, safe='/').replace('-', '%2D')}" for key, value in names.items())
    return f"<!-- fine-tuning-studio {said} -->"


@dataclass(slots=True)
class Thread:
    """The comments of one pull request. ``issues`` is the path of the repository's issues."""

    github: GitHub
    issues: str
    number: int
    mine: list[Comment] | None = None
    """Our comments, once they were asked for."""

    def keep(self, mark: str, text: str) -> str:
        """See to it that the comment says ``text``; returns what was done, in a word."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._write(mark, text)
            except UnavailableError:
                # A comment whose answer was lost may be there: look again before it is written a second time.
                if self.mine is None or attempt == ATTEMPTS:
                    raise
                self.mine = None
                self.github.sleep(2.0 ** (attempt - 1))
        raise AssertionError("the loop above returns or raises")

    def _write(self, mark: str, text: str) -> str:
        found = next((comment for comment in self._comments() if _first_line(comment) == mark), None)
        if found and _settled(found["body"]) == _settled(text):
            return "unchanged"
        if found:
            try:
                self.github.call("PATCH", f"{self.issues}/comments/{int(found['id'])}", {"body": text}, attempts=1)
                return "updated"
            except RefusedError as error:
                if error.status != 404:  # deleted since it was listed
                    raise
        self.github.call("POST", f"{self.issues}/{self.number}/comments", {"body": text}, attempts=1)
        return "created"

    def _comments(self) -> list[Comment]:
        if self.mine is None:
            every = list(self.github.pages(f"{self.issues}/{self.number}/comments"))
            login = self._login() if every else ""
            self.mine = [comment for comment in every if _is_by(comment, login)]
        return self.mine

    def _login(self) -> str:
        """Who we are; "" for a workflow's own token, which may not ask: its comments are those of a bot."""
        try:
            return str(self.github.call("GET", "/user").content["login"])
        except RefusedError as error:
            if error.status != 403:
                raise
            return ""


def _is_by(comment: Comment, login: str) -> bool:
    author = comment.get("user") or {}  # null for an account that is gone
    return bool(author.get("login") == login if login else author.get("type") == "Bot")


def _first_line(comment: Comment) -> str:
    return (comment.get("body") or "").partition("\n")[0].rstrip()


def _settled(text: str) -> str:
    """Without what GitHub may change on the way: line endings, white space at the ends."""
    return "\n".join(line.rstrip() for line in text.splitlines()).strip()


if __name__ == "__main__":
    sys.exit(main())
