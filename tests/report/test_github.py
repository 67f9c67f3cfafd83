"""Workflow commands: what GitHub's runner reads from them is what was found, and nothing else is a command."""

from __future__ import annotations

import re

import pytest
from hypothesis import given

from studio.core.findings import Finding, Position, Severity
from studio.core.references import Ref
from studio.report.github import SHOWN, to_annotations
from studio.report.plain import plain

from . import hostile


def finding(severity: Severity = Severity.ERROR, **changes: object) -> Finding:
    values: dict[str, object] = {"resource": Ref("Model", "m"), "position": Position("a.yaml", 2, 9), "hint": "mend it"}
    return Finding("XX-001", severity, "it is wrong", **{**values, **changes})  # type: ignore[arg-type]


def read(line: str) -> tuple[str, dict[str, str], str]:
    """A command as the runner takes it apart: name, properties, message."""
    match = re.fullmatch(r"::(\w+) (.*?)::(.*)", line)
    assert match, line
    name, properties, message = match.groups()
    said = dict(part.split("=", 1) for part in properties.split(","))
    return name, {key: unescape(value) for key, value in said.items()}, unescape(message)


def unescape(text: str) -> str:
    for code, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, character)
    return text


def test_a_finding_is_one_command_with_the_place_in_the_repository() -> None:
    assert to_annotations([finding()], "teams/support/") == (
        "::error file=teams/support/a.yaml,line=2,col=9,title=XX-001 Model/m::it is wrong%0Amend it\n"
    )


def test_what_is_not_known_is_left_out() -> None:
    assert to_annotations([finding(position=None, resource=None, hint="")]) == "::error title=XX-001::it is wrong\n"


@pytest.mark.parametrize(
    ("severity", "command"), [(Severity.ERROR, "error"), (Severity.WARNING, "warning"), (Severity.INFO, "notice")]
)
def test_a_severity_has_its_command(severity: Severity, command: str) -> None:
    assert to_annotations([finding(severity)]).startswith(f"::{command} ")


def test_separators_in_names_are_escaped() -> None:
    line = to_annotations([finding(position=Position("a,b:c%.yaml", 1, 1))])
    assert "file=a%2Cb%3Ac%25.yaml,line=1" in line


def test_errors_come_first() -> None:
    mixed = [finding(severity) for severity in (Severity.INFO, Severity.WARNING, Severity.ERROR, Severity.WARNING)]
    names = [line.split(" ")[0] for line in to_annotations(mixed).splitlines()]
    assert names == ["::error", "::warning", "::warning", "::notice"]


def test_what_github_will_not_annotate_is_in_the_log_and_counted_at_the_end() -> None:
    lines = to_annotations([finding()] * (SHOWN + 2) + [finding(Severity.WARNING)] * (SHOWN + 1)).splitlines()
    assert len(lines) == 2 * SHOWN + 4
    assert lines[-1].startswith("::notice title=More findings::GitHub shows 10 of a kind; ")
    assert lines[-1].endswith("has 2 more errors, 1 more warning")


def test_the_count_of_the_rest_takes_a_place_among_the_notices_that_are_shown() -> None:
    lines = to_annotations([finding()] * (SHOWN + 1) + [finding(Severity.INFO)] * SHOWN).splitlines()
    notices = [line for line in lines if line.startswith("::notice")]
    assert "1 more error, 1 more info" in notices[0] and len(notices) == SHOWN + 1


def test_as_many_findings_as_github_shows_need_no_count() -> None:
    assert "More findings" not in to_annotations([finding(severity) for severity in Severity] * SHOWN)


@given(hostile.many)
def test_no_text_becomes_a_command_of_its_own(findings: list[Finding]) -> None:
    text = to_annotations(findings, "a,b/")
    lines = text.split("\n")[:-1]
    assert len(lines) == len(text.splitlines()) and "##[" not in text
    read_back = [read(line) for line in lines if "title=More findings::" not in line]
    assert len(read_back) == len(findings)
    said = {(plain(each.message), each.position and plain(f"a,b/{each.position.file}")) for each in findings}
    for _, properties, message in read_back:
        assert set(properties) <= {"file", "line", "col", "title"}
        assert any(message.startswith(words) and properties.get("file") == file for words, file in said)
