"""What people leave in comments. Tokens in values are found where the values are judged."""

from __future__ import annotations

import re

from studio.core.findings import Position, Source
from studio.core.secrets import has_password, maybe_secret, secret_in
from studio.load.problems import Fault, Problem

_COMMENT = re.compile(r"(?:^|(?<=\s))#.*")


def secrets_in_comments(text: str, name: str) -> list[Problem]:
    """A problem for each line of the file ``name`` whose comment holds a token or a password in a URL."""
    if "#" not in text or not maybe_secret(text):
        return []
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        comment = _COMMENT.search(line)
        what = _what(comment.group()) if comment else ""
        if comment and what:
            hint = "revoke it, then remove it here; the history of the repository keeps it"
            message, where = f"this comment holds what looks like {what}", Position(name, number, comment.start() + 1)
            found.append(Problem(Fault.SECRET, message, hint, Source(name), position=where))
    return found


def _what(comment: str) -> str:
    return secret_in(comment) or ("a URL with a password" if has_password(comment) else "")
