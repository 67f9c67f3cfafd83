"""Chat templates as text with a syntax: what there is for Jinja to know in one.

The tags, filters and tests are those that transformers gives a chat template (5.17, utils.chat_template_utils).
"""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

from studio.core import jinja_syntax
from studio.core.jinja_syntax import SyntaxFlaw


class _Generation(Extension):
    """``{% generation %}``, which marks what the assistant says."""

    tags = frozenset({"generation"})  # type: ignore[assignment]

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_generation"), [], [], body).set_lineno(line)


def default(held: Any) -> str:
    """Of what a tokenizer holds as its chat template: one, several by name, or none."""
    if isinstance(held, list):
        held = {str(each.get("name")): each.get("template") for each in held if isinstance(each, dict)}
    found = held.get("default") if isinstance(held, dict) else held
    return found if isinstance(found, str) else ""


@cache
def _environment() -> Environment:
    return Environment(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, "jinja2.ext.loopcontrols"])


def flaw(text: str) -> SyntaxFlaw | None:
    """The first thing for which Jinja would refuse the template, whatever it is asked to write."""
    return jinja_syntax.flaw(text, _environment())


def reads_messages(text: str) -> bool:
    """Whether a template that parses ever asks for ``messages``; one that does not writes nothing of a conversation."""
    return "messages" in jinja_syntax.names(text, _environment())
