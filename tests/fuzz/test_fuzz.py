"""A short run of what ``make fuzz`` does at length."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from studio.core.findings import Finding
from tests.fuzz import corpus
from tests.fuzz.strategies import manifests, specials, trees
from tests.fuzz.target import check_text, check_tree, grow

QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]


@settings(max_examples=150, deadline=None, suppress_health_check=QUIET)
@given(text=manifests())
def test_any_text_is_parsed_or_refused_with_a_place(text: str) -> None:
    check_text(text)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=QUIET)
@given(files=trees(), odd=specials())
def test_any_tree_is_validated_reported_and_planned(
    tmp_path: Path, files: dict[str, bytes], odd: dict[str, str]
) -> None:
    check_tree(tmp_path / "project", files, odd)


def test_the_tree_that_is_spoiled_is_sound_to_begin_with(tmp_path: Path) -> None:
    from studio import checking

    grow(tmp_path / "project", corpus.project(), {})
    found: list[Finding] = checking.validate(tmp_path / "project").findings
    assert [finding.message for finding in found] == [] and len(corpus.texts()) > 20
