"""Text that others wrote can neither command a terminal nor a CI runner, nor leak a secret."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.report.plain import difference, excerpt, plain

TOKEN = "hf_" + "aB3" * 12


@given(st.text())
def test_no_text_breaks_the_line_or_holds_a_control_character(text: str) -> None:
    for shown in (plain(text), excerpt(text)):
        assert not any(unicodedata.category(character) == "Cc" for character in shown)
        assert len(shown.splitlines()) <= 1
        assert "##[" not in shown
        assert shown.encode("utf-8").decode("utf-8") == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, größe, 名前 😀", "plain text, größe, 名前 😀"),
        ("a\n::error::b", "a\\n::error::b"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\u202eb", "a\\u202eb"),
        ("a\u2028b", "a\\u2028b"),
        (f"token {TOKEN}!", "token ***!"),
        ("a ##[add-mask]b", "a #\\x23[add-mask]b"),
        ("a\ud800b", "a\\ud800b"),
        ("", ""),
    ],
)
def test_unsafe_characters_are_spelled_out_and_secrets_hidden(text: str, shown: str) -> None:
    assert plain(text) == shown


@given(st.text(st.characters(codec=None), max_size=30))
def test_an_excerpt_is_as_wide_as_its_line(line: str) -> None:
    assert len(excerpt(line)) == len(line)


@pytest.mark.parametrize(
    ("line", "shown"),
    [("   ::stop-commands::x", "   \ufffd:stop-commands::x"), ("+ a ::b", "+ a ::b"), (" a::b", " a::b"), ("", "")],
)
def test_an_unchanged_line_of_a_difference_commands_no_runner(line: str, shown: str) -> None:
    assert difference(line) == shown


def test_an_excerpt_hides_secrets_and_turns_tabs_into_spaces() -> None:
    assert excerpt(f"\tkey: {TOKEN}") == " key: ***"
