"""Rows evenly spread, what columns hold, and a bound on tokens that needs no tokenizer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core.templates import parse
from studio.load import samples
from studio.load.samples import Profile, most_tokens, spread


def profile(path: Path, rows: int) -> Profile:
    samples.profile.cache_clear()
    found = samples.profile(path, "digest", rows)
    assert found is not None
    return found


@given(st.integers(1, 10**9), st.integers(1, 50_000))
def test_a_sample_begins_with_the_first_row_and_is_evenly_spread(total: int, most: int) -> None:
    numbers = spread(total, most)
    assert numbers[0] == 0 and 0 < len(numbers) <= most and numbers[-1] < total
    assert len(numbers) == total or len(numbers) * numbers.step >= total - numbers.step


def test_rows_are_read_with_their_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "spread", lambda total: range(0, total, 4))
    (tmp_path / "a.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(10)))
    found = samples.read(tmp_path / "a.csv", 10)
    assert found is not None and found.total == 10
    assert [row["n"] for row in found.rows] == ["0", "4", "8"] == [str(number) for number in found.numbers]


def test_columns_tell_what_is_empty_constant_and_longest(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('a,b,c\nx,same,\nlonger,same, \n"",same,\n')
    found = profile(tmp_path / "a.csv", 3).columns
    assert (found["a"].empty, found["a"].different, found["a"].most) == (1, 3, 6)
    assert found["b"].different == 1 and not found["b"].empty
    assert found["c"].empty == 3


def test_rows_that_are_equal_in_every_column_are_repeated(tmp_path: Path) -> None:
    rows = [{"a": 1, "b": [1]}, {"a": 1, "b": [1]}, {"a": 1, "b": [2]}, {"a": 2, "b": None}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert profile(tmp_path / "a.jsonl", 4).repeated == 1


@pytest.mark.parametrize("content", ['a\n"', "", "a\n1\n1,2\n"])
def test_a_file_that_changed_into_something_unreadable_has_no_profile(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.csv").write_text(content)
    samples.profile.cache_clear()
    assert samples.profile(tmp_path / "a.csv", "digest", 3) is None
    assert samples.profile(tmp_path / "gone.csv", "digest", 3) is None
    assert samples.read(tmp_path / "a.csv", 3) is None


@given(st.text())
def test_no_text_has_more_tokens_than_its_bound(text: str) -> None:
    assert most_tokens(text) >= len(text.encode("utf-8", "replace"))


def test_a_bound_of_a_template_covers_its_fields_and_its_own_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\nxx,yyyy\n")
    assert profile(tmp_path / "a.csv", 1).most(parse("{a} {b}!")) == 2 + 4 + 2 + samples.MARGIN
    assert most_tokens("\ufdfa") > 30  # one character that normalisation makes a sentence of
