"""Rules that count tokens: what cannot be counted is tried once, and proves nothing for the next run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from studio.checking import validate
from studio.load import lengths, token_counts
from studio.load.witness import watching
from tests.rules import examples

SHORT = """\
kind: FineTuningJob
spec:
  training_arguments_config: {max_length: 4}
---
kind: FineTuningJob
metadata: {name: second}
spec:
  adapter_name: second-router
  training_arguments_config: {max_length: 5}
"""


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The limits of the counts that were begun, where no other test's are remembered."""
    lengths.of_file.cache_clear()
    begun: list[int] = []
    count = token_counts.count
    monkeypatch.setattr(token_counts, "count", lambda *asked: begun.append(asked[2]) or count(*asked))
    return begun


def test_a_count_is_kept_together_with_the_library_that_made_it(project: Path, counted: list[int]) -> None:
    examples.write(SHORT, project)
    with watching() as witness:
        found = {finding.rule for finding in validate(project, "default").findings}
    assert "FT-030" in found and sorted(counted) == [4, 5]
    assert any("/tokenizers/" in path for path in witness.looks)


def test_a_tokenizer_that_fails_is_tried_once_and_nothing_is_proved(project: Path, counted: list[int]) -> None:
    broken = project / "models" / "tiny-llama" / "tokenizer.json"
    broken.write_text(json.dumps({"version": "1.0", "model": "none"}))
    examples.write(SHORT, project)
    with watching() as witness:
        witness.begun *= 2  # the files of this test have just changed, which proves nothing either
        found = {finding.rule for finding in validate(project, "default").findings}
    assert "FT-030" not in found and len(counted) == 1
    assert "does not load" in witness.doubt
