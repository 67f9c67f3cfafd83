"""Faults that a rule finds beside the one in its own example, and what looks like a fault and is none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from studio.core.findings import Severity
from tests.rules.conftest import Check


def cases(file: str) -> list[tuple[str, str]]:
    """Rule id and example, from a file of examples under ``## ID`` lines."""
    text = Path(__file__).with_name(file).read_text(encoding="utf-8")
    blocks = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    return [(id, example.strip("\n")) for id, _, example in (block.partition("\n") for block in blocks)]


@pytest.mark.parametrize(("id", "example"), cases("faults.txt"))
def test_a_fault_is_found_at_the_marked_line_by_one_rule(id: str, example: str, checked: Check) -> None:
    outcome = checked(example)
    assert outcome.at(id), outcome.findings
    assert set(outcome.marked) <= set(outcome.at(id))
    assert {f.rule for f in outcome.findings if f.severity is Severity.ERROR} <= {id}


@pytest.mark.parametrize(("id", "example"), cases("no_faults.txt"))
def test_what_is_no_fault_is_not_reported(id: str, example: str, checked: Check) -> None:
    outcome = checked(example)
    assert outcome.at(id) == []
    assert [finding for finding in outcome.findings if finding.severity is Severity.ERROR] == []
