"""Patterns are matched as ``re`` matches them, and never slowly."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core.patterns import NotUnderstood, fault, matching

NAMES = [f"model.layers.{n}.self_attn.{part}_proj" for n in (0, 1, 11) for part in "qkvo"]
NAMES += ["model.layers.0.mlp.gate_proj", "lm_head", "model.embed_tokens"]
PIECES = [
    ".*", ".*?", r"\.", r"\d+", "[0-9]+", "q", "_proj", "(q|k|v)", "(?:q_proj|v_proj)", "model", "layers", "self_attn",
    "[qk]", "[^q]", ".", "(mlp)?", "x?", r"\w+", "|", "(", ")", "[", "]", "*", "+", "?", "{2}", "1", "^", "$", "-", "",
]  # fmt: skip


@pytest.mark.parametrize(
    "pattern",
    [
        r".*\.(q_proj|v_proj)",
        r".*(self_attn|mlp).*_proj",
        r"model\.layers\.\d+\.self_attn\.[qv]_proj",
        r"model\.layers\.(0|1)\.self_attn\.(?:q|v)_proj",
        r"(?:.*?(?:language|text|layers).*?(?:self_attn|attention|mlp).*?(?:q_proj|v_proj))",
        "lm_head",
        "nothing",
        "",
    ],
)
def test_patterns_that_people_write_match_what_re_matches(pattern: str) -> None:
    assert matching(pattern, NAMES) == [name for name in NAMES if re.fullmatch(pattern, name)]


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_what_is_understood_is_matched_as_re_does(pattern: str) -> None:
    try:
        found = matching(pattern, NAMES)
    except NotUnderstood:
        return
    assert found == [name for name in NAMES if re.fullmatch(pattern, name)]


@given(st.text(max_size=40) | st.text(r"\.()[]|*+?a", max_size=60))
def test_no_pattern_is_too_strange(pattern: str) -> None:
    assert isinstance(fault(pattern), str)
    try:
        assert isinstance(matching(pattern, NAMES), list)
    except NotUnderstood as error:
        assert str(error)


@pytest.mark.parametrize(
    "pattern",
    ["(a*)*b", "(a|a)*b", "(a+)+$", "((((a?)?)?)?)*", r"(a)\1", "(?=a)a", "a{1000}", "(" * 500, "a" * 1001, "é"],
)
def test_what_could_take_long_is_refused(pattern: str) -> None:
    with pytest.raises(NotUnderstood):
        matching(pattern, ["a" * 30])


@pytest.mark.parametrize("pattern", [".*" * 400 + "b", "(a|a?)" * 160 + "b", "[a-z]*" * 160 + "!"])
def test_a_hostile_pattern_takes_no_longer_than_its_length_allows(pattern: str) -> None:
    begun = time.process_time()
    assert matching(pattern, ["a" * 200]) == []
    assert time.process_time() - begun < 2


def test_a_pattern_that_re_refuses_says_why() -> None:
    assert "unterminated" in fault("(")
    assert fault("a" * 1001) == "longer than 1000 characters"
    assert fault(".*") == ""
