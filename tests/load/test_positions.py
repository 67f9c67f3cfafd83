"""Findings get their line and column once, at the end."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from studio.core.findings import Finding, Position, Severity, Source
from studio.load.positions import place

TEXT = "kind: Model\nspec:\n  type: x\n---\nkind: Config\nspec: {type: y}\n"


def finding(source: Source | None, *path: str | int, position: Position | None = None) -> Finding:
    return Finding("XX-001", Severity.ERROR, "m", path=path, source=source, position=position)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "a.yaml").write_text(TEXT)
    return tmp_path


@pytest.mark.parametrize(
    ("source", "path", "line", "column"),
    [
        (Source("a.yaml", 0), ("spec", "type"), 3, 9),
        (Source("a.yaml", 1), ("spec", "type"), 6, 14),
        (Source("a.yaml", 0), (), 1, 1),
        (Source("a.yaml", 9), ("spec",), 1, 1),
        (Source("nowhere.yaml"), ("spec",), 1, 1),
    ],
)
def test_a_finding_is_placed_in_its_document(
    root: Path, source: Source, path: tuple[str, ...], line: int, column: int
) -> None:
    [placed] = place(root, [finding(source, *path)])
    assert placed.position == Position(source.file, line, column)


def test_a_known_place_is_kept_and_no_source_has_none(root: Path) -> None:
    known = Position("b.yaml", 4, 2)
    without, kept = place(root, [finding(None), finding(Source("a.yaml"), "kind", position=known)])
    assert kept.position == known and without.position is None


def test_in_a_file_that_does_not_parse_the_fault_is_the_place(root: Path) -> None:
    (root / "a.yaml").write_text("a: 1\nb: [\n")
    [placed] = place(root, [finding(Source("a.yaml"), "b")])
    assert placed.position is not None and placed.position.line >= 2


def test_findings_come_out_in_the_order_of_the_files(root: Path) -> None:
    placed = place(root, [finding(Source("a.yaml", 1), "spec"), finding(Source("a.yaml", 0), "spec", "type")])
    assert [each.position.line for each in placed if each.position] == [3, 6]


def test_a_file_with_many_findings_is_read_once_not_once_for_each(root: Path) -> None:
    (root / "a.yaml").write_text("---\n".join(f"kind: Model\nspec: {{type: t{n}}}\n" for n in range(300)))
    begun = time.perf_counter()
    placed = place(root, [finding(Source("a.yaml", n), "spec", "type") for n in range(300)])
    assert [each.position.line for each in placed if each.position] == [3 * n + 2 for n in range(300)]
    assert time.perf_counter() - begun < 10
