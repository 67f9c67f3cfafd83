"""Templates fill {field} and nothing else, whatever text they are made of."""

from __future__ import annotations

from string import ascii_letters

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core.templates import TemplateError, escape, parse

names = st.text(ascii_letters + "_ -", min_size=1).filter(lambda name: name[0].isalpha())
values = st.one_of(st.text(), st.integers(), st.floats(allow_nan=False), st.booleans(), st.none())


@given(st.text())
def test_an_escaped_text_renders_as_itself(text: str) -> None:
    assert parse(escape(text)).render({}) == text


@given(st.lists(st.tuples(st.text(), names)), st.text())
def test_texts_and_fields_come_back_from_the_template_made_of_them(parts: list[tuple[str, str]], tail: str) -> None:
    template = parse("".join(f"{escape(text)}{{{name}}}" for text, name in parts) + escape(tail))
    assert template.fields == tuple(name for _, name in parts)
    assert template.texts == (*(text for text, _ in parts), tail)


@given(st.lists(st.tuples(names, values), unique_by=lambda pair: pair[0]))
def test_every_value_stands_where_its_field_stood(pairs: list[tuple[str, object]]) -> None:
    template = "|".join(f"{{{name}}}" for name, _ in pairs)
    shown = ["" if value is None else str(value) for _, value in pairs]
    assert parse(template).render(dict(pairs)) == "|".join(shown)


@given(st.text())
def test_any_text_either_parses_or_names_the_character_at_fault(text: str) -> None:
    try:
        parse(text)
    except TemplateError as error:
        assert text[error.offset] in "{}"


@pytest.mark.parametrize(
    ("template", "offset"),
    [
        ("{0}", 0),
        ("{}", 0),
        ("{x.__class__}", 0),
        ("{x[0]}", 0),
        ("{x!r}", 0),
        ("{x:>10}", 0),
        ("ok {x.y}", 3),
        ("{ok} {1st}", 5),
        ("{", 0),
        ("a }", 2),
        ("{a{b}}", 0),
        ("{{a}", 3),
        ("{x.__init__.__globals__[os].environ}", 0),
    ],
)
def test_what_is_not_a_plain_field_is_refused_at_its_place(template: str, offset: int) -> None:
    with pytest.raises(TemplateError) as error:
        parse(template)
    assert error.value.offset == offset


@pytest.mark.parametrize(
    ("template", "row", "text"),
    [
        ("Q: {q}\nA: {a}", {"q": "why", "a": "because"}, "Q: why\nA: because"),
        ("{{{a}}}", {"a": 1}, "{1}"),
        ("{a}{a}", {"a": "x"}, "xx"),
        ("{ticket text}", {"ticket text": "NA"}, "NA"),
        ("{größe}", {"größe": None}, ""),
        ("{a}", {"a": "{b}"}, "{b}"),
        ("", {}, ""),
    ],
)
def test_a_plain_template_is_filled(template: str, row: dict[str, object], text: str) -> None:
    assert parse(template).render(row) == text


def test_a_field_that_the_row_lacks_is_not_silently_empty() -> None:
    with pytest.raises(KeyError):
        parse("{missing}").render({"present": 1})
