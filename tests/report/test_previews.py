"""Rows on paper: whatever a row holds, it commands no terminal, hides no boundary and leaks no secret."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core.references import Ref
from studio.load.lengths import Limit
from studio.load.token_counts import NotAtHand
from studio.preview import Preview, Shown, Spread
from studio.report.plain import json_text
from studio.report.previews import MARK, to_json, to_text

TOKEN = "hf_" + "aB3" * 12
SHOWN = Shown(1, "the first", "### lost\n>", " card</s>", tokens=6, begins=4)
FOUND = Preview(
    Ref("Prompt", "route"), Ref("Prompt", "route"), Ref("Dataset", "tickets"), Ref("Model", "tiny"), "as asked", None,
    "</s>", Limit(5), (SHOWN,), Spread("tokens", 3, 3, {"p50": 6, "p90": 6, "p99": 6, "max": 6}, 3, 0), None, None, (),
)  # fmt: skip


@given(st.text(), st.text())
def test_no_row_commands_a_terminal(shown: str, answer: str) -> None:
    found = replace(FOUND, shown=(replace(SHOWN, input=shown, completion=answer),))
    for text in (to_text(found), json_text(to_json(found))):
        assert not any(unicodedata.category(character) in ("Cc", "Cs") for character in text.replace("\n", ""))
        assert text.encode("utf-8")
    assert json.loads(json_text(to_json(found)))["rows"][0]["completion_at"] == len(shown)


def test_the_mark_stands_where_the_completion_begins() -> None:
    assert f"  │ ### lost\n  │ >{MARK} card</s>\n" in to_text(FOUND)
    assert "6 tokens, completion from token 5; cut at max_length 5" in to_text(FOUND)


def test_a_row_without_completion_is_told_from_one_that_is_cut() -> None:
    found = replace(FOUND, limit=Limit(4))
    assert "max_length 4 leaves nothing of its completion" in to_text(found)
    assert "cut at max_length 4" in to_text(replace(FOUND, limit=Limit(4, from_end=True)))


def test_secrets_in_rows_are_hidden() -> None:
    found = replace(FOUND, shown=(replace(SHOWN, input=f"my token {TOKEN}\n>"),))
    for text in (to_text(found), json.dumps(to_json(found))):
        assert TOKEN not in text and "***" in text
    row = to_json(found)["rows"][0]
    assert row["text"][row["completion_at"] :] == " card</s>"


@pytest.mark.parametrize("length", [2_001, 1_000_000])
def test_long_texts_lose_their_middle_and_say_how_much(length: int) -> None:
    found = replace(FOUND, shown=(replace(SHOWN, input="a" + "x" * length + "b"),))
    assert len(to_text(found)) < 4_000 and f"… {length + 2 - 2_000:,} characters left out …" in to_text(found)
    assert to_json(found)["rows"][0]["characters"] == length + 2 + len(" card</s>")


def test_characters_stand_in_where_tokens_are_not_counted() -> None:
    spread = Spread("characters", 2, 3, {"p50": 9, "p90": 9, "p99": 9, "max": 9})
    shown = (replace(SHOWN, tokens=None, begins=None),)
    text = to_text(replace(FOUND, missing=NotAtHand("no tokenizer", "fetch it"), spread=spread, shown=shown))
    assert "Row 1 (the first): 19 characters\n" in text
    assert "Length in characters (2 measured of 3 rows)" in text
    assert "Tokens are not counted: no tokenizer\n  fetch it" in text
