"""Findings: paths as text, and one order for all reports."""

from __future__ import annotations

from random import Random

import pytest

from studio.core.findings import Finding, Path, Position, Severity, Source, format_path, sort_key
from studio.core.references import Ref


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("spec",), "spec"),
        (("spec", "gates", 0, "min"), "spec.gates[0].min"),
        ((0, "a"), "[0].a"),
        (("spec", "config", "a.b"), "spec.config.a.b"),
        ((None, "x"), "None.x"),
    ],
)
def test_a_path_reads_as_dots_and_brackets(path: Path, text: str) -> None:
    assert format_path(path) == text


def test_a_position_reads_as_file_line_and_column() -> None:
    assert str(Position("manifests/a.yaml", 3, 7)) == "manifests/a.yaml:3:7"


def at(file: str, line: int, column: int, rule: str, name: str = "a", message: str = "m") -> Finding:
    return Finding(rule, Severity.ERROR, message, resource=Ref("Dataset", name), position=Position(file, line, column))


def test_findings_are_sorted_by_place_then_rule_then_resource_then_message() -> None:
    in_order = [
        Finding("PJ-001", Severity.ERROR, "no place at all"),
        at("a.yaml", 1, 1, "DS-002"),
        at("a.yaml", 1, 9, "DS-001"),
        at("a.yaml", 2, 1, "DS-001", "a"),
        at("a.yaml", 2, 1, "DS-001", "b", "m"),
        at("a.yaml", 2, 1, "DS-001", "b", "n"),
        at("a.yaml", 2, 1, "DS-002"),
        at("a.yaml", 10, 1, "DS-001"),
        Finding("MF-001", Severity.ERROR, "a file without a position", source=Source("b.yaml")),
        at("b.yaml", 1, 1, "AD-001"),
    ]
    shuffled = Random(0).sample(in_order, len(in_order))
    assert sorted(shuffled, key=sort_key) == in_order
