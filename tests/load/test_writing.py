"""Manifests that studio writes are read back as what they were, and stay as they are when they are laid out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.load import documents
from studio.load.formatting import Unformattable, formatted
from studio.load.writing import manifest_text

text = st.text(st.characters(codec="utf-8"), max_size=20) | st.sampled_from(
    [
        "on",
        "1",
        "1e3",
        "null",
        "~",
        "a: b",
        "- x",
        "### {text}\n> {queue}\n",
        " x",
        "x ",
        "#",
        "a\n\n b\n",
        "<<",
        "=",
        "2026-11-21",
    ]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["kind", "metadata", "spec"]), values, min_size=1))
def test_whatever_is_written_is_read_back_or_refused(document: dict[str, Any]) -> None:
    try:
        written = manifest_text(document)
    except ValueError as error:
        assert str(error)
        return
    assert documents.parse(written) == [document]
    try:
        assert formatted(written) == written
    except Unformattable as fault:
        assert fault.message


def test_texts_of_several_lines_stand_as_blocks_in_the_order_given() -> None:
    spec = {"dataset": "tickets", "prompt_template": "### {text}\n> {queue}\n", "completion_template": " {queue}"}
    assert manifest_text({"kind": "Prompt", "metadata": {"name": "route"}, "spec": spec}) == (
        "kind: Prompt\nmetadata:\n  name: route\nspec:\n  dataset: tickets\n  prompt_template: |\n    ### {text}\n"
        "    > {queue}\n  completion_template: ' {queue}'\n"
    )


def test_half_of_a_character_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\S"):
        manifest_text({"kind": "\ud800"})
