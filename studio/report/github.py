"""Findings as GitHub workflow commands, which become annotations on the lines of a pull request."""

from __future__ import annotations

from collections.abc import Iterable

from studio.core.findings import Finding, Severity
from studio.report.findings import plural
from studio.report.plain import plain

SHOWN = 10
"""Annotations of one type that GitHub shows for a step (GitHub documentation, limits of workflow annotations)."""
_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}
_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = _DATA | str.maketrans({":": "%3A", ",": "%2C"})


def to_annotations(findings: Iterable[Finding], prefix: str = "") -> str:
    """One command a line, the gravest first; ``prefix`` leads from the repository's root to the project.

    Every finding is in the log. When GitHub will not annotate them all, a notice counts the rest; it stands before the
    other notices, so that it is shown itself.
    """
    found = list(findings)
    grave = [f for severity in (Severity.ERROR, Severity.WARNING) for f in found if f.severity is severity]
    notices = [f for f in found if f.severity is Severity.INFO]
    lines = [_command(finding, prefix) for finding in grave]
    hidden = _hidden(found)
    if hidden:
        lines.append(f"::notice title=More findings::GitHub shows {SHOWN} of a kind; the log of this step has {hidden}")
    lines += [_command(finding, prefix) for finding in notices]
    return "".join(f"{line}\n" for line in lines)


def _hidden(findings: list[Finding]) -> str:
    """How many findings of each severity GitHub leaves out, in words; "" for none."""
    counted = {severity: sum(f.severity is severity for f in findings) for severity in Severity}
    more = {severity: count - SHOWN for severity, count in counted.items() if count > SHOWN}
    if more and counted[Severity.INFO] >= SHOWN:
        more[Severity.INFO] = counted[Severity.INFO] - SHOWN + 1
    return ", ".join(plural(count, f"more {severity.value}") for severity, count in more.items())


def _command(finding: Finding, prefix: str) -> str:
    where = finding.position
    properties: dict[str, object] = {"title": f"{finding.rule} {finding.resource or ''}".rstrip()}
    if where:
        properties = {"file": prefix + where.file, "line": where.line, "col": where.column} | properties
    words = "\n".join(plain(part) for part in (finding.message, finding.hint) if part)
    said = ",".join(f"{name}={plain(value).translate(_PROPERTY)}" for name, value in properties.items())
    return f"::{_COMMANDS[finding.severity]} {said}::{words.translate(_DATA)}"
