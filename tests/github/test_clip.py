"""Markdown that is cut stays well-formed and within its limit."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tests.projects import ROOT

LINES = ["```\n", "````text\n", "~~~\n", "~~~~\n", "<details><summary>more</summary>\n", "</details>\n", "text\n", "\n",
         "- `<details>` in code\n", "  ```\n", "| a | b |\n"]  # fmt: skip


@pytest.fixture(scope="module")
def clip() -> Iterator[Any]:
    sys.path.insert(0, str(ROOT / "action"))
    yield importlib.import_module("clip").clip
    sys.path.remove(str(ROOT / "action"))
    sys.modules.pop("clip")


@given(lines=st.lists(st.sampled_from(LINES), max_size=60), limit=st.integers(200, 400))
def test_a_cut_text_fits_and_its_note_is_outside_of_code(clip: Any, lines: list[str], limit: int) -> None:
    text = "".join(lines)
    cut = clip(text, limit, "Look there.")
    if len(text) <= limit:
        assert cut == text
        return
    assert len(cut) <= limit
    paragraphs = [token.content for token in MarkdownIt().parse(cut) if token.type in ("inline", "html_block")]
    assert any("Cut here:" in content and "Look there." in content for content in paragraphs)


def test_what_is_folded_is_closed_and_the_count_is_right(clip: Any) -> None:
    text = "<details><summary>s</summary>\n\n```\n" + "line\n" * 200 + "```\n</details>\n"
    cut = clip(text, 300, "Look there.")
    kept = cut.count("line\n")
    assert cut.count("```") == 2 and cut.count("</details>") == 1
    assert f"{205 - 3 - kept:,} more lines" in cut


def test_one_line_longer_than_the_limit_leaves_only_the_note(clip: Any) -> None:
    assert clip("x" * 1000, 200, "Look there.").startswith("\n_Cut here: 1 more lines")
