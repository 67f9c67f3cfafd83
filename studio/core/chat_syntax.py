"""Chat templates as text with a syntax: parsed with Jinja's parser, never compiled and never rendered.

The tags, filters and tests are those that transformers gives a chat template (5.17, utils.chat_template_utils).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

from studio.core.suggest import did_you_mean

MOST_CHARACTERS = 64 << 10
"""Of a template that is looked at; the longest of known models has a tenth of it. They take half a second at worst."""
GUARDED = (nodes.If, nodes.CondExpr)
"""Below these Jinja asks for a filter only when it gets there."""
_HINT = "a chat template is Jinja: correct it there"


@dataclass(frozen=True, slots=True)
class SyntaxFlaw:
    """What is wrong in which line, counted from 1; in line 0 where only the whole can be blamed."""

    line: int
    message: str
    hint: str

    def within(self, name: str) -> str:
        """The message, with the place in what is called ``name``."""
        return f"{name}:{self.line}: {self.message}" if self.line else f"{name}: {self.message}"


class _Generation(Extension):
    """``{% generation %}``, which marks what the assistant says."""

    tags = frozenset({"generation"})  # type: ignore[assignment]

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


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
    if len(text) > MOST_CHARACTERS:
        return None
    try:
        return next(_refused(_environment().parse(text)), None)
    except TemplateSyntaxError as error:
        return SyntaxFlaw(error.lineno, error.message or "not valid Jinja", _HINT)
    except RecursionError:
        return SyntaxFlaw(
            0, "it is nested too deeply for Jinja", "write it with fewer brackets and blocks in each other"
        )
    except ValueError:  # Python refuses to read a number of thousands of digits
        return SyntaxFlaw(0, "it holds a number that is too long to be read", _HINT)


def _refused(template: nodes.Template) -> Iterator[SyntaxFlaw]:
    """What parses, and is no part of a chat template. Walks without recursion: Jinja's own walk would overflow."""
    known = _environment()
    pending: list[nodes.Node] = [template]
    while pending:
        node = pending.pop()
        match node:
            case nodes.Include() | nodes.Import() | nodes.FromImport() | nodes.Extends():
                yield SyntaxFlaw(
                    node.lineno, "it asks for another template; a chat template stands alone", "copy it in"
                )
            case nodes.Filter(name=name) if name not in known.filters:
                yield SyntaxFlaw(node.lineno, f"there is no filter {name!r}", did_you_mean(name, known.filters))
            case nodes.Test(name=name) if name not in known.tests:
                yield SyntaxFlaw(node.lineno, f"there is no test {name!r}", did_you_mean(name, known.tests))
        if not isinstance(node, GUARDED):
            pending += reversed([*node.iter_child_nodes()])
