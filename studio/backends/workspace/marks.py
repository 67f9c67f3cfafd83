"""Marks by which what studio made in a workspace is known again: in comments of builds, in variables of deployments."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

JOB, SUPERSEDES = "STUDIO_JOB", "STUDIO_SUPERSEDES"
"""Variables of a deployment: key and attempt, and the id of the endpoint that goes once this one is up."""
_COMMENT = re.compile(r"studio (?P<key>\S+)@(?P<attempt>\d{1,9}) for (?P<owner>.+)")
_JOB = re.compile(r"(?P<key>\S+)@(?P<attempt>\d{1,9})")


@dataclass(frozen=True, slots=True)
class Mark:
    """Which attempt made it. ``owner`` is the resource and environment that it was made for; deployments do not say."""

    key: str
    attempt: int
    owner: str = ""

    @property
    def comment(self) -> str:
        return f"studio {self} for {self.owner}"

    def __str__(self) -> str:
        return f"{self.key}@{self.attempt}"

    def made(self, other: Mark | None) -> bool:
        """Whether ``other`` is of the same attempt."""
        return other is not None and (other.key, other.attempt) == (self.key, self.attempt)


def of_build(build: Any) -> Mark | None:
    """None for a build that studio did not start."""
    found = _COMMENT.fullmatch(build.comment or "")
    return Mark(found["key"], int(found["attempt"]), found["owner"]) if found else None


def of_deployment(deployment: Any) -> Mark | None:
    found = _JOB.fullmatch(variables(deployment).get(JOB, ""))
    return Mark(found["key"], int(found["attempt"])) if found else None


def variables(deployment: Any) -> dict[str, str]:
    """A deployment's environment, which the API gives as JSON text; empty for what is none."""
    given = deployment.environment
    try:
        found = json.loads(given) if isinstance(given, str) else given
    except (ValueError, RecursionError):
        return {}
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}
