"""Templates as text with a syntax: parsed with Jinja's parser, never compiled and never rendered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from keyword import iskeyword

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.compiler import find_undeclared

from studio.core.suggest import did_you_mean

MOST_CHARACTERS = 64 << 10
"""Of a template that is looked at; the longest of known models has a tenth of it. They take half a second at worst."""
_HINT = "it is a template of Jinja: correct it there"


@dataclass(frozen=True, slots=True)
class SyntaxFlaw:
    """What is wrong in which line, counted from 1; in line 0 where only the whole can be blamed."""

    line: int
    message: str
    hint: str

    def within(self, name: str) -> str:
        """The message, with the place in what is called ``name``."""
        return f"{name}:{self.line}: {self.message}" if self.line else f"{name}: {self.message}"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a node is. ``soft``: Jinja asks for a filter only when it gets there; ``guarded``: a condition is somewhere
    above; ``breakable``: in a loop of the same function of Python; ``in_for``: a loop is somewhere above."""

    soft: bool = False
    guarded: bool = False
    breakable: bool = False
    in_for: bool = False
    top: bool = True

    def inner(self) -> _Place:
        """In a new frame of Jinja's compiler, where its softness ends."""
        return replace(self, soft=False, top=False)

    def function(self) -> _Place:
        """In a frame that becomes a function."""
        return replace(self.inner(), breakable=False)


def flaw(text: str, environment: Environment) -> SyntaxFlaw | None:
    """The first thing for which Jinja would refuse the template, whatever it is asked to write. ``environment`` knows
    the tags, filters and tests that there are."""
    if len(text) > MOST_CHARACTERS:
        return None
    try:
        return next(_refused(environment.parse(text), environment), None)
    except TemplateSyntaxError as error:
        return SyntaxFlaw(error.lineno, error.message or "not valid Jinja", _HINT)
    except RecursionError:
        return SyntaxFlaw(
            0, "it is nested too deeply for Jinja", "write it with fewer brackets and blocks in each other"
        )
    except ValueError:  # Python refuses to read a number of thousands of digits
        return SyntaxFlaw(0, "it holds a number that is too long to be read", _HINT)


def names(text: str, environment: Environment) -> set[str]:
    """What a template that parses asks for by name, or sets. Walks without recursion: Jinja's own walk would overflow,
    since a long sum is as deep as it is long."""
    found: set[str] = set()
    pending: list[nodes.Node] = [environment.parse(text)]
    while pending:
        node = pending.pop()
        if isinstance(node, nodes.Name):
            found.add(node.name)
        pending += node.iter_child_nodes()
    return found


def _refused(template: nodes.Template, known: Environment) -> Iterator[SyntaxFlaw]:
    """What parses, and is refused when it is compiled (jinja2 3.1, compiler.CodeGenerator), or asks for a file. Walks
    without recursion, as ``names``."""
    pending: list[tuple[nodes.Node, _Place]] = [(template, _Place())]
    blocks: set[str] = set()
    while pending:
        node, place = pending.pop()
        if isinstance(node, nodes.Block):
            if node.name in blocks:
                yield SyntaxFlaw(node.lineno, f"the block {node.name!r} is defined twice", "rename or remove one")
            blocks.add(node.name)
        yield from _misplaced(node, place)
        yield from _unknown(node, place, known)
        yield from _ambiguous(node)
        pending += reversed([*_below(node, place)])


def _misplaced(node: nodes.Node, place: _Place) -> Iterator[SyntaxFlaw]:
    match node:
        case nodes.Include() | nodes.Import() | nodes.FromImport() if not place.guarded:
            yield SyntaxFlaw(node.lineno, "it asks for another template, and stands alone", "copy it in")
        case nodes.Extends() if not (place.guarded and place.top):
            yield SyntaxFlaw(node.lineno, "it asks for another template, and stands alone", "copy it in")
        case nodes.Break() | nodes.Continue() if not place.breakable:
            word = "break" if isinstance(node, nodes.Break) else "continue"
            hint = "a loop around a macro, call, generation or block does not count; write an if instead"
            yield SyntaxFlaw(node.lineno, f"{word} is in no loop", hint)
        case nodes.Name(name="loop", ctx="store") if place.in_for:
            yield SyntaxFlaw(node.lineno, "loop is Jinja's own name in a for", "choose another name")


def _unknown(node: nodes.Node, place: _Place, known: Environment) -> Iterator[SyntaxFlaw]:
    if place.soft:
        return
    match node:
        case nodes.Filter(name=name) if name not in known.filters:
            yield SyntaxFlaw(node.lineno, f"there is no filter {name!r}", did_you_mean(name, known.filters))
        case nodes.Test(name=name) if name not in known.tests:
            yield SyntaxFlaw(node.lineno, f"there is no test {name!r}", did_you_mean(name, known.tests))


def _ambiguous(node: nodes.Node) -> Iterator[SyntaxFlaw]:
    """Arguments of which Python cannot make a function, or a call."""
    match node:
        case nodes.Macro() | nodes.CallBlock():
            names = [each.name for each in node.args]
            required = names[: len(names) - len(node.defaults)]
            if "caller" in required and "caller" in find_undeclared(node.body, ("caller",)):
                yield SyntaxFlaw(node.lineno, "the parameter caller has no default", "leave it out: Jinja adds it")
        case nodes.Call() | nodes.Filter() | nodes.Test():
            names = [each.key for each in node.kwargs if isinstance(each, nodes.Keyword)]
            names = [] if any(map(iskeyword, names)) else names  # Jinja makes a dictionary of these
        case _:
            return
    for name in (name for name, number in Counter(names).items() if number > 1):
        yield SyntaxFlaw(node.lineno, f"the argument {name!r} is there twice", "remove or rename one")


def _below(node: nodes.Node, place: _Place) -> Iterator[tuple[nodes.Node, _Place]]:
    """The children of a node, in their order, each with its place."""
    for name, value in node.iter_fields():
        within = _within(node, name, place)
        for child in value if isinstance(value, list) else (value,):
            if isinstance(child, nodes.Node):
                yield child, within


def _within(node: nodes.Node, field: str, place: _Place) -> _Place:
    match node, field:
        case ((nodes.If() | nodes.CondExpr()), _):
            return replace(place, soft=True, guarded=True)
        case nodes.For(), "iter":
            return replace(place, in_for=True)
        case nodes.For(), "body":
            return replace(place.inner(), in_for=True, breakable=True)
        case nodes.For(), "else_":
            return replace(place.inner(), in_for=True, breakable=place.breakable and not node.recursive)
        case nodes.For(), _:
            return replace(place.inner(), in_for=True)
        case (nodes.CallBlock(), "call") | (nodes.With(), "values") | (nodes.AssignBlock(), "target"):
            return place
        case ((nodes.Macro() | nodes.CallBlock() | nodes.Block()), _):
            return place.function()
        case ((nodes.With() | nodes.AssignBlock() | nodes.FilterBlock() | nodes.Scope()), _):
            return place.inner()
    return place
