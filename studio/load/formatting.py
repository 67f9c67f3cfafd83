"""A manifest's text in canonical form, or the reason why it stays as it is. Nothing but white space ever changes."""

from __future__ import annotations

from studio.load import documents
from studio.load.layout import layout
from studio.load.nodes import YamlFault
from studio.load.tokens import LayoutFault

PASSES = 3
"""One pass is enough for all but contrived comments; what still moves after these is left alone."""


class Unformattable(Exception):
    """A valid text that is better left as it is; line and column count from 1."""

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.message, self.line, self.column = message, line, column


def formatted(text: str) -> str:
    """The canonical form of ``text``: the same values, the same comments, and its own canonical form.

    Raises YamlFault for what is no YAML and Unformattable when one of the three cannot be had.
    """
    values = documents.parse(text)
    if not text.strip():
        return text
    result, comments = _laid_out(text)
    for _ in range(PASSES):
        if result == text:
            return text
        again, after = _laid_out(result)
        if again == result:
            break
        result = again
    else:
        raise Unformattable("its comments have no stable place")
    if after != comments or _visible(result) != _visible(text):
        raise Unformattable("a comment would be lost")
    if _differ(values, result):
        raise Unformattable("a value would change")
    return result


def _laid_out(text: str) -> tuple[str, list[str]]:
    try:
        return layout(text)
    except LayoutFault as fault:
        before = text[: fault.index]
        raise Unformattable(fault.message, before.count("\n") + 1, fault.index - before.rfind("\n")) from fault


def _visible(text: str) -> str:
    """All but the white space, of which YAML 1.1 takes more for line breaks than the layout does."""
    return "".join(text.split())


def _differ(values: list[object], text: str) -> bool:
    """Whether ``text`` says something else; 1, 1.0 and true are three things, and so are two orders of keys."""
    try:
        return repr(documents.parse(text)) != repr(values)
    except YamlFault:
        return True
