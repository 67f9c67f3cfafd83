"""Findings as text and as JSON."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from studio.core.findings import Finding, Position, Severity
from studio.core.references import Ref
from studio.report.findings import plural, summary, to_json, to_text


def finding(line: int = 2, column: int = 9, severity: Severity = Severity.ERROR, **changes: object) -> Finding:
    values: dict[str, object] = {
        "hint": "mend it", "resource": Ref("Model", "m"), "path": ("spec", "type"),
        "position": Position("a.yaml", line, column),
    }  # fmt: skip
    return Finding("XX-001", severity, "it is wrong", **{**values, **changes})  # type: ignore[arg-type]


def text(root: Path, *findings: Finding) -> str:
    return click.unstyle(to_text(findings, root))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "a.yaml").write_text(
        "\ufeffspec:\n  type: x # größe\n\ttab: y\n" + "long: " + "x" * 500 + "\n", "utf-8"
    )
    return tmp_path


def test_a_finding_shows_its_line_with_a_caret_below_the_place(root: Path) -> None:
    assert text(root, finding()) == (
        "error XX-001 Model/m: it is wrong\n"
        "  --> a.yaml:2:9\n"
        "   2 |   type: x # größe\n"
        "     |         ^\n"
        "   = mend it\n\n"
    )


@pytest.mark.parametrize(
    ("changes", "lacks"),
    [
        ({"position": None}, "-->"),
        ({"hint": ""}, "   ="),
        ({"resource": None}, "Model/m"),
        ({"resource": Ref("Model", "")}, "Model/"),
        ({"position": Position("nowhere.yaml", 1, 1)}, "|"),
        ({"position": Position("a.yaml", 99, 1)}, "|"),
        ({"position": Position("a.yaml", 4, 400)}, "^"),
    ],
)
def test_what_is_not_known_is_left_out(root: Path, changes: dict[str, object], lacks: str) -> None:
    shown = text(root, finding(**changes))
    assert lacks not in shown and "it is wrong" in shown


def test_a_tab_takes_one_column_so_that_the_caret_is_right(root: Path) -> None:
    lines = text(root, finding(3, 2)).splitlines()
    assert lines[2].index("tab") == lines[3].index("^")


def test_a_long_line_is_cut(root: Path) -> None:
    assert max(map(len, text(root, finding(4, 1)).splitlines())) < 180


@pytest.mark.parametrize("break_", ["\r\n", "\r", "\u2028"])
def test_lines_are_counted_as_yaml_counts_them(tmp_path: Path, break_: str) -> None:
    (tmp_path / "a.yaml").write_bytes(f"first: 1{break_}second: 2{break_}".encode())
    assert "   2 | second: 2" in text(tmp_path, finding(2, 1))


def test_a_file_that_is_not_utf8_is_shown_as_far_as_it_goes(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"caf\xe9: 1\n")
    assert "   1 | caf\ufffd: 1" in text(tmp_path, finding(1, 1))


@pytest.mark.parametrize(
    ("findings", "words"),
    [
        ([], "Valid: 2 resources in 1 file."),
        ([finding()], "1 error; 2 resources in 1 file."),
        ([finding(severity=Severity.WARNING)] * 2, "2 warnings; 2 resources in 1 file."),
        ([finding(), finding(severity=Severity.WARNING)], "1 error, 1 warning; 2 resources in 1 file."),
        ([finding(severity=Severity.INFO)], "Valid: 2 resources in 1 file."),
    ],
)
def test_the_summary_counts(findings: list[Finding], words: str) -> None:
    assert click.unstyle(summary(findings, 2, 1)) == words


def test_a_noun_follows_its_number() -> None:
    assert [plural(n, "row") for n in (0, 1, 2, 2615)] == ["0 rows", "1 row", "2 rows", "2,615 rows"]


def test_the_json_form_names_every_part_also_where_it_is_empty() -> None:
    content = to_json([finding(), Finding("YY-001", Severity.INFO, "m")])
    assert content["version"] == 1 and content["summary"] == {"error": 1, "warning": 0, "info": 1}
    assert content["findings"][0] == {
        "rule": "XX-001", "severity": "error", "message": "it is wrong", "hint": "mend it", "resource": "Model/m",
        "path": "spec.type", "file": "a.yaml", "line": 2, "column": 9, "environment": None,
    }  # fmt: skip
    assert content["findings"][1]["resource"] is content["findings"][1]["file"] is None
