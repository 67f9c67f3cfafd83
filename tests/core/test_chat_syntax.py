"""What Jinja would refuse of a chat template is found without running any of it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment
from transformers.utils.chat_template_utils import _compile_jinja_template

from studio.core.chat_syntax import default, flaw, reads_messages
from studio.core.jinja_syntax import MOST_CHARACTERS

SOUND = (
    "{%- for message in messages %}{{ '<|' + message['role'] + '|>' }}{% if loop.last %}{% break %}{% endif %}"
    "{% generation %}{{ message.content | trim }}{% endgeneration %}{% endfor %}"
    "{% if tools is defined %}{{ tools | tojson }}{% endif %}{{ raise_exception('no') if messages is not iterable }}"
)


def test_a_template_with_all_that_transformers_gives_one_is_sound() -> None:
    assert flaw(SOUND) is None


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("{% for m in messages %}\n{{ m.content }\n{% endfor %}", 2, "unexpected '}'"),
        ("a\n\n{% endfor %}", 3, "Encountered unknown tag 'endfor'"),
        ("{% for m in messages %}\n{{ m }}", 2, "Unexpected end of template"),
        ("{{ a }}\n{{ b | contnet }}", 2, "there is no filter 'contnet'"),
        ("{{ a }}\n{{ b is nosuchtest }}", 2, "there is no test 'nosuchtest'"),
        ("\n{% include 'other.jinja' %}", 2, "it asks for another template"),
        ("\n{% extends 'other.jinja' %}", 2, "it asks for another template"),
        ("{{ " + "(" * 5000, 0, "nested too deeply"),
        ("{% if a %}" * 5000, 0, "nested too deeply"),
        ("{{ " + "1" * 5000 + " }}", 0, "too long to be read"),
    ],
)
def test_what_jinja_would_refuse_is_said_with_its_line(text: str, line: int, words: str) -> None:
    found = flaw(text)
    assert found and found.line == line and words in found.message and found.hint
    assert found.within("chat.jinja").startswith(f"chat.jinja:{line}: " if line else "chat.jinja: ")


def test_a_filter_that_is_reached_under_a_condition_only_is_left_to_the_condition() -> None:
    assert flaw("{% if new %}{{ a | newer }}{% endif %}{{ (a | newer) if new else a }}") is None


@pytest.mark.parametrize(
    "text",
    [
        SOUND,
        "{% if a %}{{ x | nope }}{{ y is nope }}{% elif b | nope %}{% else %}{{ x | nope }}{% endif %}",
        "{{ (x | nope) if a else (y is nope) }}{{ x if a | nope else y }}",
        "{{ ((x | nope) ~ 'b' | trim) if a else y }}",
        "{% if a %}{% for x in y %}{{ x | nope }}{% endfor %}{% endif %}",
        "{% if a %}{% for x in y | nope %}{{ x }}{% endfor %}{% endif %}",
        "{% if a %}{% for x in y if x is nope %}{{ x }}{% endfor %}{% endif %}",
        "{% if a %}{% for x in y %}{% if x %}{{ x | nope }}{% endif %}{% endfor %}{% endif %}",
        "{% if a %}{% for x in y %}{% else %}{{ x | nope }}{% endfor %}{% endif %}",
        "{% if a %}{% macro f() %}{{ x | nope }}{% endmacro %}{% endif %}",
        "{% if a %}{% macro f(x=1 | nope) %}{% endmacro %}{% endif %}",
        "{% if a %}{% call f() %}{{ x | nope }}{% endcall %}{% endif %}",
        "{% if a %}{% call f(x | nope) %}{% endcall %}{% endif %}",
        "{% if a %}{% generation %}{{ x | nope }}{% endgeneration %}{% endif %}",
        "{% if a %}{% block b %}{{ x | nope }}{% endblock %}{% endif %}",
        "{% if a %}{% filter nope %}{% endfilter %}{% endif %}",
        "{% if a %}{% with x = y | nope %}{% endwith %}{% endif %}",
        "{% if a %}{% with x = y %}{{ x | nope }}{% endwith %}{% endif %}",
        "{% if a %}{% set x %}{{ x | nope }}{% endset %}{% endif %}",
        "{% if a %}{% set x | nope %}{% endset %}{% endif %}",
        "{% if a %}{% set x = y | nope %}{% endif %}",
        "{% if a %}{% autoescape true %}{{ x | nope }}{% endautoescape %}{% endif %}",
        "{% break %}",
        "{% if a %}{% continue %}{% endif %}",
        "{% for x in y %}{% if x %}{% continue %}{% endif %}{% filter trim %}{% break %}{% endfilter %}{% endfor %}",
        "{% for x in y %}{% with z = x %}{% break %}{% endwith %}{% set w %}{% continue %}{% endset %}{% endfor %}",
        "{% for x in y %}{% else %}{% break %}{% endfor %}",
        "{% for a in b %}{% for x in y %}{% else %}{% break %}{% endfor %}{% endfor %}",
        "{% for a in b %}{% for x in y recursive %}{% else %}{% break %}{% endfor %}{% endfor %}",
        "{% for a in b %}{% for x in y recursive %}{% break %}{% endfor %}{% endfor %}",
        "{% for x in y %}{% macro f() %}{% break %}{% endmacro %}{% endfor %}",
        "{% for x in y %}{% generation %}{% break %}{% endgeneration %}{% endfor %}",
        "{% for x in y %}{% block b %}{% break %}{% endblock %}{% endfor %}",
        "{% block b %}{% endblock %}{% block b %}{% endblock %}",
        "{% block b %}{% block c %}{% endblock %}{% endblock %}",
        "{% block b %}{% block b %}{% endblock %}{% endblock %}",
        "{% for loop in y %}{% endfor %}",
        "{% for x in y %}{% set loop = 1 %}{% endfor %}",
        "{% for x in y %}{% macro f(loop) %}{{ loop }}{% endmacro %}{% endfor %}",
        "{% set loop = 1 %}",
        "{% macro f(a, a) %}{% endmacro %}",
        "{% macro f(caller) %}{{ caller() }}{% endmacro %}",
        "{% macro f(caller, a=1) %}{{ caller() }}{% endmacro %}",
        "{% macro f(a, caller=1) %}{{ caller() }}{% endmacro %}",
        "{% macro f(caller) %}{% endmacro %}",
        "{{ f(a=1, a=2) }}",
        "{{ f(a=1, a=2, class=3) }}",
        "{{ x | join(d='a', d='b') }}",
        "{% if a %}{% for x in y %}{% extends 'b' %}{% endfor %}{% endif %}",
    ],
)
def test_the_verdict_is_that_of_transformers_own_compiler(text: str) -> None:
    try:
        _compile_jinja_template(text)
        refused = None
    except (TemplateError, SyntaxError) as error:
        refused = error
    found = flaw(text)
    assert bool(found) == bool(refused), f"{found} and {refused!r}"


PIECES = st.sampled_from(
    ["{{ ", " }}", "{% ", " %}", "{# ", " #}", "if ", "for ", "a", " in ", "else", "endif ", "endfor ", "'", '"', "\\",
     "|", "trim", "(", ")", "[", "]", "{", "}", ":", ",", ".", "+", "-", "~", "is ", "not ", "1", "e9", "\n", "raw",
     "set ", "=", "macro ", "block ", "generation ", "break ", "é", "\udc00"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=40).map("".join))
def test_whatever_jinja_does_not_parse_is_found(text: str) -> None:
    found = flaw(text)
    try:
        ImmutableSandboxedEnvironment(extensions=[loopcontrols], optimized=False).parse(text)
    except TemplateError:
        assert found or "generation" in text
    except ValueError:
        assert found


@pytest.mark.parametrize("piece", ["{", "{{", "{%", "{{ a+", "{{ not ", "{{ [", "{% if a %}", "{{ '", "{#", "-"])
def test_the_longest_hostile_template_takes_no_more_than_moments(piece: str) -> None:
    begun = time.process_time()
    flaw((piece * MOST_CHARACTERS)[:MOST_CHARACTERS])
    assert time.process_time() - begun < 10  # half a second at worst; what is quadratic would take minutes


def test_of_several_templates_the_default_one_counts() -> None:
    assert default([{"name": "tools", "template": "x"}, {"name": "default", "template": "y"}]) == "y"
    assert default("z") == "z" and default(None) == "" and default({"rag": "x"}) == ""


@pytest.mark.parametrize(
    "text", ["{{ " + "a+" * 20_000 + "%s }}", "{{ %s" + ".b" * 20_000 + " }}"], ids=["sum", "path"]
)
def test_a_name_is_found_however_deep_it_is(text: str) -> None:
    assert reads_messages(text % "messages") and not reads_messages(text % "message")
