"""Findings as text and as JSON."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from studio.core.findings import Finding, Severity, format_path
from studio.load.files import MAX_BYTES, inside
from studio.report.plain import excerpt, plain

JSON_VERSION = 1
_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""What ends a line in YAML."""
_COLORS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: "blue"}


def to_text(findings: Iterable[Finding], root: Path) -> str:
    """Each finding with its source line and a caret; "" when there are none."""
    texts: dict[str, list[str]] = {}
    return "".join(_one(finding, root, texts) + "\n" for finding in findings)


def _one(finding: Finding, root: Path, texts: dict[str, list[str]]) -> str:
    color = _COLORS[finding.severity]
    who = f" {plain(finding.resource)}" if finding.resource and finding.resource.name else ""
    head = click.style(f"{finding.severity.value} {finding.rule}", fg=color, bold=True)
    lines = [f"{head}{click.style(who, bold=True)}: {plain(finding.message)}"]
    if finding.position:
        lines += _excerpt(finding, root, texts, color)
    if finding.hint:
        lines.append(f"   {click.style('=', fg='cyan')} {plain(finding.hint)}")
    return "\n".join(lines) + "\n"


def _excerpt(finding: Finding, root: Path, texts: dict[str, list[str]], color: str) -> list[str]:
    where = finding.position
    if where is None:
        return []
    if where.file not in texts:
        texts[where.file] = _lines(root, where.file)
    lines = [f"  {click.style('-->', fg='cyan')} {plain(where)}"]
    source = texts[where.file]
    if where.line <= len(source):
        shown = excerpt(source[where.line - 1].rstrip())
        number = f"{where.line:4} "
        lines.append(f"{click.style(number + '|', fg='cyan')} {shown[:160]}")
        if where.column <= 160:
            margin = " " * len(number) + click.style("|", fg="cyan")
            lines.append(f"{margin} {' ' * (where.column - 1)}{click.style('^', fg=color)}")
    return lines


def _lines(root: Path, file: str) -> list[str]:
    """The lines of a file of the project; nothing of what is outside it, no regular file, or too large to load."""
    path = inside(root, file)
    try:
        if path is None or not path.is_file() or path.stat().st_size > MAX_BYTES:
            return []
        return _LINE_BREAK.split(path.read_bytes().decode("utf-8-sig", errors="replace"))
    except OSError:
        return []


def summary(findings: Iterable[Finding], resources: int, files: int) -> str:
    """One line: how many of what."""
    counted = Counter(finding.severity for finding in findings)
    scope = f"{plural(resources, 'resource')} in {plural(files, 'file')}"
    parts = [plural(counted[s], s.value) for s in (Severity.ERROR, Severity.WARNING) if counted[s]]
    if not parts:
        return f"{click.style('Valid:', fg='green', bold=True)} {scope}."
    return f"{', '.join(parts)}; {scope}."


def plural(count: int, noun: str) -> str:
    """``3 errors``, ``1 error``."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def to_json(findings: Iterable[Finding]) -> dict[str, Any]:
    """The documented, versioned form."""
    found = list(findings)
    counted = Counter(finding.severity for finding in found)
    return {
        "version": JSON_VERSION,
        "findings": [_json(finding) for finding in found],
        "summary": {severity.value: counted[severity] for severity in Severity},
    }


def _json(finding: Finding) -> dict[str, Any]:
    where = finding.position
    return {
        "rule": finding.rule,
        "severity": finding.severity.value,
        "message": finding.message,
        "hint": finding.hint,
        "environment": finding.environment or None,
        "resource": str(finding.resource) if finding.resource else None,
        "path": format_path(finding.path),
        "file": where.file if where else None,
        "line": where.line if where else None,
        "column": where.column if where else None,
    }
