"""GitHub's ``${{ }}`` expressions, as far as our action and workflows use them; anything else is an error."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>\d+)|(?P<op>==|!=|&&|\|\||[!(),])|(?P<path>[A-Za-z_][\w.-]*))"
)
_INSIDE = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
Contexts = Mapping[str, Any]


def fill(text: str, contexts: Contexts) -> str:
    """Text with each expression in it replaced by its value."""
    return _INSIDE.sub(lambda found: show(evaluate(found[1], contexts)), text)


def condition(text: str | bool, contexts: Contexts) -> bool:
    """The value of an ``if:``, with or without the braces around it."""
    whole = _INSIDE.fullmatch(str(text).strip())
    return bool(evaluate(whole[1] if whole else str(text), contexts))


def show(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def evaluate(text: str, contexts: Contexts) -> Any:
    parser = Parser(tokens(text), contexts)
    value = parser.either()
    assert not parser.left, f"not understood in {text!r}: {parser.left}"
    return value


def tokens(text: str) -> list[str]:
    found, at = [], 0
    text = text.strip()
    while at < len(text):
        token = _TOKEN.match(text, at)
        assert token, f"not understood: {text[at:]!r}"
        found.append(token[0].strip())
        at = token.end()
    return found


class Parser:
    """Recursive descent: ``||`` binds loosest, then ``&&``, comparisons, ``!``."""

    def __init__(self, left: list[str], contexts: Contexts) -> None:
        self.left = left
        self.contexts = contexts

    def take(self, *words: str) -> str:
        return self.left.pop(0) if self.left and (not words or self.left[0] in words) else ""

    def either(self) -> Any:
        value = self.both()
        while self.take("||"):
            other = self.both()
            value = value or other
        return value

    def both(self) -> Any:
        value = self.compared()
        while self.take("&&"):
            other = self.compared()
            value = value and other
        return value

    def compared(self) -> Any:
        value = self.one()
        while operator := self.take("==", "!="):
            same = show(value).lower() == show(self.one()).lower()
            value = same if operator == "==" else not same
        return value

    def one(self) -> Any:
        if self.take("!"):
            return not self.one()
        if self.take("("):
            value = self.either()
            assert self.take(")")
            return value
        word = self.take()
        if word.startswith("'"):
            return word[1:-1].replace("''", "'")
        if word.isdecimal():
            return int(word)
        return self.called(word) if self.take("(") else self.looked_up(word)

    def called(self, name: str) -> Any:
        assert self.take(")"), f"{name} with arguments is not known here"
        functions: dict[str, Callable[[], bool]] = {
            "always": lambda: True,
            "cancelled": lambda: False,
            "failure": lambda: not self.contexts["ok"],
            "success": lambda: self.contexts["ok"],
        }
        return functions[name]()

    def looked_up(self, path: str) -> Any:
        """``github.event.pull_request``: nothing where a part is missing, but the context itself must exist."""
        first, *rest = path.split(".")
        if path in ("true", "false"):
            return path == "true"
        value = self.contexts[first]
        for part in rest:
            value = value.get(part) if isinstance(value, Mapping) else None
        return value
