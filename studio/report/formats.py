"""The forms in which ``studio validate`` reports; each is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from studio.core.findings import Finding
from studio.core.references import Ref
from studio.report import findings
from studio.report.plain import json_text


@dataclass(frozen=True, slots=True)
class Validation:
    """A checked project, as far as a report may tell of it.

    ``resources`` holds the file of each manifest, ``prefix`` the folders from the repository's root down to the
    project, ending in a slash or empty.
    """

    root: Path
    environment: str
    findings: Sequence[Finding]
    resources: Mapping[Ref, str]
    files: int
    prefix: str = ""

    @property
    def summary(self) -> str:
        return findings.summary(self.findings, len(self.resources), self.files)


def as_text(checked: Validation) -> str:
    return findings.to_text(checked.findings, checked.root) + checked.summary


def as_json(checked: Validation) -> str:
    return json_text(findings.to_json(checked.findings))


def as_sarif(checked: Validation) -> str:
    from studio.report import sarif
    from studio.rules.base import catalogue

    log = sarif.to_sarif(checked.findings, catalogue(), checked.prefix, checked.environment)
    return json_text(log)


def as_annotations(checked: Validation) -> str:
    from studio.report import github

    return github.to_annotations(checked.findings, checked.prefix) + checked.summary


def as_junit(checked: Validation) -> str:
    from studio.report import junit

    return junit.to_junit(checked.findings, checked.resources, checked.prefix)


FORMATS: dict[str, Callable[[Validation], str]] = {
    "text": as_text,
    "json": as_json,
    "sarif": as_sarif,
    "github": as_annotations,
    "junit": as_junit,
}
"""Format name to what renders it; none ends in a line break."""
