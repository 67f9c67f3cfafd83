"""Text to documents: two parsers that agree, limits that hold, and positions that are right."""

from __future__ import annotations

import json
import time
import warnings
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from studio.load.documents import locate, outline, parse
from studio.load.nodes import MAX_DEPTH, MAX_PARTS, YamlFault

from .parsers import careful, dumped, fast, keys, same, values

printable = st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], include_characters="\n\t\r")
yamlish = st.text(st.sampled_from("ab1:-,[]{}&*!|>'\"#%@?~. \n\t"), max_size=40)
paths = st.lists(st.one_of(st.text(max_size=3), st.integers(0, 5), st.sampled_from("abk")), max_size=4).map(tuple)


def fault(text: str) -> YamlFault:
    with pytest.raises(YamlFault) as error:
        parse(text)
    return error.value


# Two parsers, one answer


@settings(max_examples=120)
@given(values, st.booleans())
def test_both_parsers_agree_on_what_an_emitter_wrote(value: Any, flow: bool) -> None:
    text = dumped(value, flow=flow)
    try:
        expected = fast(text)
    except ValueError:
        return  # the emitter writes a little that is no YAML, such as {:0: x}
    assert same(careful(text), expected)


@settings(max_examples=120)
@given(values)
def test_json_is_read_back_by_both_parsers(value: Any) -> None:
    text = json.dumps(value)
    for read in (parse(text), careful(text)):
        assert same(read, [value])


@settings(max_examples=600)
@given(yamlish)
@example("a: ! b")
@example("- &x a\n- *x")
@example("%YAML 1.2\n---\na: 1")
@example("? a\n: b")
@example("a: |2\n   x\n")
def test_what_both_parsers_accept_has_one_meaning(text: str) -> None:
    try:
        theirs = careful(text)
    except YamlFault:
        return
    ours = parse(text)
    if not any(isinstance(document, str) for document in ours):  # bare text is no manifest, and they cut it differently
        assert same(without_nothing(ours), without_nothing(theirs))


def without_nothing(documents: list[Any]) -> list[Any]:
    """Empty documents at the end of a stream are counted differently, and mean nothing."""
    kept = list(documents)
    while kept and kept[-1] is None:
        kept.pop()
    return kept


# Whatever the text, an answer or a fault


@settings(max_examples=600)
@given(st.one_of(yamlish, st.text(max_size=60), st.text(printable, max_size=60)))
@example("\x00")
@example("a: \x1b[31m")
@example("\ud800")
@example("%YAML 1.1\n---\na: yes")
@example("%YAML 9.9\n---\na: 1")
@example("%TAG ! x\n---\na: 1")
@example("a: &x " + "9" * 5000)
@example("a: &x 0x" + "F" * 6000)
@example("{a: &x " * 2000)
@example("\ufeff\ufeff")
def test_any_text_is_read_or_refused_with_a_place_in_it(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            assert isinstance(parse(text), list)
        except YamlFault as error:
            assert error.message and error.line >= 1 and error.column >= 1
            assert error.line <= text.count("\n") + text.count("\r") + text.count("\x85") + 2 + breaks(text)


def breaks(text: str) -> int:
    return text.count("\u2028") + text.count("\u2029")


@settings(max_examples=200)
@given(st.binary(max_size=80))
def test_any_bytes_that_are_text_are_read_or_refused(content: bytes) -> None:
    text = content.decode("utf-8", "replace")
    try:
        assert isinstance(parse(text), list)
    except YamlFault as error:
        assert error.message


# What is refused


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "words", "place"),
    [
        ("a: 1\nb: 2\na: 3\n", "the key 'a' appears twice", (3, 1)),
        ("a:\n  b: 1\n  'b': 2\n", "the key 'b' appears twice", (3, 3)),
        ("- {x: 1, x: 2}\n", "the key 'x' appears twice", (1, 10)),
        ("a: 1\n---\nb: 1\nb: 2\n", "the key 'b' appears twice", (4, 1)),
        ("a: !!python/object:os.system x\n", "is not allowed", (1, 4)),
        ("a: !secret x\n", "the tag !secret is not allowed", (1, 4)),
        ("a: ! x\n", "is not allowed", (1, 4)),
        ("a: !!binary aGk=\n", "is not allowed", (1, 4)),
        ("a: &x !t 1\n", "the tag !t is not allowed", (1, 4)),
        ("? [a]\n: b\n", "a key must be plain text", (1, 3)),
        ("a: *nobody\n", "found undefined alias 'nobody'", (1, 4)),
        ("a: [1, 2\nb: 3\n", "while parsing a flow sequence", (2, 2)),
        ("a: 'open\n", "found unexpected end of stream", (2, 1)),
        ("\ta: 1\n", "cannot start any token", (1, 1)),
        ("a: \x00\n", "the character U+0000 is not allowed", (1, 4)),
        ("ok: 1\nb: \x1b\n", "the character U+001B is not allowed", (2, 4)),
        ('a: "\\ud800"\n', "half of a surrogate pair", (1, 4)),
        ("just text\nmore: x\n", "mapping values are not allowed", (2, 5)),
    ],
)
def test_a_fault_is_named_at_its_place(text: str, words: str, place: tuple[int, int]) -> None:
    found = fault(text)
    assert words in found.message
    assert (found.line, found.column) == place
    assert not found.limit


@pytest.mark.parametrize("text", ["a: 1\na: 2", "{a: 1, a: 2}"])
def test_a_duplicate_key_is_told_apart_from_other_faults(text: str) -> None:
    assert fault(text).duplicate and not fault("a: [").duplicate


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        "a: &a [*a]\n",
        "a: &a {b: *a}\n",
        "{a: " * 100_000,
        "{a: " * 20_000 + "1" + "}" * 20_000,
        "[\n" * 3000,
        "&x " + "[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2),
    ],
    ids=["bomb", "recursion", "recursion-in-mapping", "open", "closed", "lines", "depth-after-anchor"],
)
def test_a_document_beyond_the_limits_is_refused_quickly(text: str) -> None:
    begun = time.perf_counter()
    assert fault(text).message
    assert time.perf_counter() - begun < 10


MANY = 1_100_000


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "[" + "1," * MANY + "]",
        "x: &a 1\n" + "- a\n" * MANY,
        "- a: b\n" * MANY + "- [",
        "\n" * (8 << 20) + "\x00",
        "a: '" + "x\n" * MANY,
        "? " * MANY,
        'a: "' + "\\ud83d\\ude00" * 100_000 + '"',
    ],
    ids=["flow", "anchored", "fault at the end", "character", "open quote", "keys in keys", "escapes"],
)
def test_a_file_of_many_megabytes_is_refused_within_seconds(text: str) -> None:
    begun = time.perf_counter()
    assert fault(text).message
    assert time.perf_counter() - begun < 30


@pytest.mark.slow
def test_how_many_values_a_file_may_hold_does_not_depend_on_the_parser() -> None:
    plain = "[" + "1," * (MAX_PARTS - 2) + "1]"
    assert len(parse(plain)[0]) == MAX_PARTS - 1
    for text in ("[1," + plain[1:], "[1," + plain[1:] + "#&a"):
        assert fault(text).limit


def test_a_position_in_a_large_mapping_costs_no_walk_through_it() -> None:
    there = outline("".join(f"key{number}: 1\n" for number in range(20_000)))
    begun = time.perf_counter()
    assert [there.locate(0, (f"key{number}",)) for number in range(20_000)][-1] == (20_000, 11)
    assert time.perf_counter() - begun < 5


def test_a_bomb_and_a_recursion_are_called_limits() -> None:
    assert fault(BOMB).limit and "aliases add more than" in fault(BOMB).message
    assert fault("a: &a [*a]\n").limit


# What is accepted


@pytest.mark.parametrize(
    ("text", "documents"),
    [
        ("a: 1\r\nb: 2\r\n", [{"a": 1, "b": 2}]),
        ("a: 1\n---\nb: 2\n", [{"a": 1}, {"b": 2}]),
        ("# c\n---\na: 1\n---\n# nothing\n---\nb: 2\n", [{"a": 1}, None, {"b": 2}]),
        ("%YAML 1.2\n---\na: yes\n", [{"a": "yes"}]),
        ("%YAML 1.1\n---\na: yes\n", [{"a": "yes"}]),
        ("base: &b {x: 1}\nother: *b\n", [{"base": {"x": 1}, "other": {"x": 1}}]),
        ("- &x a\n- &x b\n- *x\n", [["a", "b", "b"]]),
        ("a: {<<: &m {x: 1}, y: 2}\n", [{"a": {"<<": {"x": 1}, "y": 2}}]),
        ("a:\tb\n", [{"a": "b"}]),
        ('a: &x "\\ud83d\\ude00"\n', [{"a": "😀"}]),
        ('a: "\\ud83d\\ude00"\n', [{"a": "😀"}]),
        ("a: |\n  one\n  two\nb: >-\n  three\n  four\n", [{"a": "one\ntwo\n", "b": "three four"}]),
        ("a: wow ! great & good * all\n", [{"a": "wow ! great & good * all"}]),
        ("a: NA\nb: ''\n", [{"a": "NA", "b": ""}]),
        ("", []),
        ("\ufeffa: 1\n", [{"a": 1}]),
    ],
)
def test_plain_yaml_has_its_plain_meaning(text: str, documents: list[Any]) -> None:
    assert parse(text) == documents


def test_anchors_within_the_limits_expand() -> None:
    text = "x: &x [1, 2, 3]\n" + "".join(f"k{n}: *x\n" for n in range(1000))
    assert parse(text)[0]["k999"] == [1, 2, 3]


def test_depth_up_to_the_limit_is_fine_for_both_parsers() -> None:
    nested = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert same(parse(nested), careful(nested))


# Positions


POSITIONS = """\
# a comment
kind: Config
metadata: {name: a, labels: {team: b}}
spec:
  type: lora_config
  list:
    - one
    - {k: 1, l: 2}
    -
      deep: x
  empty:
  "quoted key": 'v'
---
kind: Model
spec:
\ttabbed: 1
""".replace("\ttabbed", "  tabbed")


@pytest.mark.parametrize(
    ("document", "path", "at_key", "place"),
    [
        (0, ("kind",), False, (2, 7)),
        (0, ("kind",), True, (2, 1)),
        (0, ("metadata",), False, (3, 1)),
        (0, ("metadata", "name"), False, (3, 18)),
        (0, ("metadata", "labels", "team"), True, (3, 30)),
        (0, ("metadata", "labels", "team"), False, (3, 36)),
        (0, ("metadata", "nowhere"), False, (3, 1)),
        (0, ("spec", "type"), False, (5, 9)),
        (0, ("spec", "list"), False, (6, 3)),
        (0, ("spec", "list", 0), False, (7, 7)),
        (0, ("spec", "list", 1), False, (8, 7)),
        (0, ("spec", "list", 1, "l"), False, (8, 17)),
        (0, ("spec", "list", 2, "deep"), False, (10, 13)),
        (0, ("spec", "list", 9), False, (6, 3)),
        (0, ("spec", "missing", "deeper"), False, (4, 1)),
        (0, ("spec", "quoted key"), False, (12, 17)),
        (0, ("spec", "quoted key"), True, (12, 3)),
        (0, (), False, (2, 1)),
        (1, ("kind",), False, (14, 7)),
        (1, ("spec", "tabbed"), False, (16, 11)),
        (7, ("kind",), False, (1, 1)),
    ],
)
def test_a_path_leads_to_its_line_and_column(
    document: int, path: tuple[str | int, ...], at_key: bool, place: tuple[int, int]
) -> None:
    assert locate(POSITIONS, document, path, at_key) == place


def test_positions_are_right_where_only_the_fast_parser_knows_the_white_space() -> None:
    assert locate("a:\t1\nb:\tx # c\n", 0, ("b",)) == (2, 4)


def test_line_ends_of_any_system_count_once() -> None:
    assert locate("a: 1\r\nb: 2\r\n", 0, ("b",)) == (2, 4)


@settings(max_examples=120)
@given(values, paths, st.booleans(), st.integers(0, 3))
def test_locating_any_path_in_a_readable_text_gives_a_place_in_it(
    value: Any, path: tuple[str | int, ...], at_key: bool, document: int
) -> None:
    text = dumped(value, flow=False)
    line, column = locate(text, document, path, at_key)
    assert 1 <= line <= len(text.split("\n")) + breaks(text) + text.count("\x85") and column >= 1


@settings(max_examples=80)
@given(st.dictionaries(keys, st.dictionaries(keys, st.integers(), min_size=1, max_size=3), min_size=1, max_size=4))
def test_every_key_of_json_is_found_where_it_is_written(value: dict[str, dict[str, int]]) -> None:
    text = json.dumps(value, indent=1, ensure_ascii=False)
    lines = text.split("\n")
    for outer, inner in value.items():
        for key in inner:
            line, column = locate(text, 0, (outer, key), at_key=True)
            assert lines[line - 1][column - 1 :].startswith(json.dumps(key, ensure_ascii=False))


def test_many_documents_that_each_stay_below_the_limit_are_refused_together() -> None:
    bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a]\n" + "".join(
        f"{name}: &{name} [{', '.join(['*' + before] * 8)}]\n" for before, name in zip("bcd", "cde", strict=True)
    )
    assert len(parse(bomb)) == 1
    with pytest.raises(YamlFault, match="aliases add more than 100,000 values") as refused:
        parse("---\n".join([bomb] * 50))
    assert refused.value.limit


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("a: [1\n", "close the [ of line 1"),
        ("b: 1\na: {x: 1,\nc: 2\n", "close the { of line 2"),
        ('a: "x\nb: 1\n', 'close the " of line 1'),
        ("a: b: c\n", "quote the whole text, or correct the indentation: a colon and a space begin a mapping"),
        ("a:\n\tb: 1\n", "indent with spaces: YAML takes no tabs there"),
        ("a: @x\n", "quote the text: it may not begin with this character"),
        ("a: !!python/name:x y\n", "remove the tag"),
        ("a: [1] x\n", "check indentation, quotes and brackets around this place"),
    ],
)
def test_a_fault_says_what_to_do(text: str, hint: str) -> None:
    with pytest.raises(YamlFault) as caught:
        parse(text)
    assert caught.value.hint == hint
