"""Positions of findings: computed once, at the end, and only for files that something is reported about."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from studio.core.findings import Finding, Position, Source, sort_key
from studio.core.findings import Path as FindingPath
from studio.load import documents, files
from studio.load.nodes import YamlFault
from studio.load.problems import Problem

Places = documents.Outline | YamlFault | None
"""What is known of places in a file: all, only where it goes wrong, or nothing because it cannot be read."""


def place(root: Path, findings: Iterable[Finding]) -> list[Finding]:
    """The findings with their positions filled in, in the order of the files."""
    outlines: dict[str, Places] = {}
    placed = (finding if finding.position else _placed(root, finding, outlines) for finding in findings)
    return sorted(placed, key=sort_key)


def with_lines(root: Path, problems: list[Problem], path: FindingPath) -> list[Problem]:
    """The problems; a message that ends in the file of an earlier document goes on with the line of its ``path``."""
    outlines: dict[str, Places] = {}
    return [_with_line(root, each, each.earlier, path, outlines) if each.earlier else each for each in problems]


def _with_line(
    root: Path, problem: Problem, earlier: Source, path: FindingPath, outlines: dict[str, Places]
) -> Problem:
    if earlier.file not in outlines:
        outlines[earlier.file] = _outline(root, earlier.file)
    line = _position(outlines[earlier.file], earlier, path).line
    return replace(problem, message=f"{problem.message}:{line}")


def _placed(root: Path, finding: Finding, outlines: dict[str, Places]) -> Finding:
    source = finding.source
    if source is None:
        return finding
    if source.file not in outlines:
        outlines[source.file] = _outline(root, source.file)
    return replace(finding, position=_position(outlines[source.file], source, finding.path, finding.at_key))


def _outline(root: Path, name: str) -> Places:
    text = files.read_text(root, name)
    try:
        return None if isinstance(text, Problem) else documents.outline(text)
    except YamlFault as fault:
        return fault


def _position(places: Places, source: Source, path: FindingPath, at_key: bool = False) -> Position:
    match places:
        case documents.Outline():
            return Position(source.file, *places.locate(source.document, path, at_key))
        case YamlFault():
            return Position(source.file, places.line, places.column)
        case None:
            return Position(source.file, 1, 1)
