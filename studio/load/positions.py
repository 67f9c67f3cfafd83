"""Positions of findings: computed once, at the end, and only for files that something is reported about."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from studio.core.findings import Finding, Position, Source, sort_key
from studio.load import documents, files
from studio.load.problems import Problem


def place(root: Path, findings: Iterable[Finding]) -> list[Finding]:
    """The findings with their positions filled in, in the order of the files."""
    texts: dict[str, str | None] = {}
    placed = (finding if finding.position else _placed(root, finding, texts) for finding in findings)
    return sorted(placed, key=sort_key)


def _placed(root: Path, finding: Finding, texts: dict[str, str | None]) -> Finding:
    source = finding.source
    if source is None:
        return finding
    if source.file not in texts:
        text = files.read_text(root, source.file)
        texts[source.file] = None if isinstance(text, Problem) else text
    return replace(finding, position=_position(texts[source.file], source, finding))


def _position(text: str | None, source: Source, finding: Finding) -> Position:
    if text is None:
        return Position(source.file, 1, 1)
    try:
        line, column = documents.locate(text, source.document, finding.path, finding.at_key)
    except documents.YamlFault as fault:
        line, column = fault.line, fault.column
    return Position(source.file, line, column)
