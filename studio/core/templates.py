"""The only formatter of the project: ``{field}`` and nothing else.

``str.format`` would follow ``{x.__class__}`` and ``{0[key]}`` into Python objects, and manifests are untrusted.
``{{`` and ``}}`` stand for literal braces, as in the guide's format strings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_FIELD = re.compile(r"[^\W\d][^.\[\]!:{}]*\Z")


class TemplateError(ValueError):
    """A template that is not plain ``{field}`` text; ``offset`` is the character at fault."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template: literal texts and the fields between them (one text more than fields)."""

    texts: tuple[str, ...]
    fields: tuple[str, ...]

    def render(self, row: Mapping[str, object]) -> str:
        """Fill the fields from ``row``; a missing value is empty text, an unknown field is a KeyError."""
        parts = [self.texts[0]]
        for name, text in zip(self.fields, self.texts[1:], strict=True):
            value = row[name]
            parts += ("" if value is None else str(value), text)
        return "".join(parts)


@lru_cache(1 << 14)
def parse(template: str) -> Template:
    """Split a template; raises TemplateError for anything but ``{field}``, ``{{`` and ``}}``."""
    texts, fields, start, literal = [], [], 0, ""
    for match in _TOKEN.finditer(template):
        literal += template[start : match.start()]
        start = match.end()
        token = match.group()
        if token in ("{{", "}}"):
            literal += token[0]
        elif match.group(1) is not None and is_field(match.group(1)):
            texts.append(literal)
            fields.append(match.group(1))
            literal = ""
        else:
            raise TemplateError(_fault(token), match.start())
    texts.append(literal + template[start:])
    return Template(tuple(texts), tuple(fields))


def is_field(name: str) -> bool:
    """Whether a column of this name can be a placeholder."""
    return _FIELD.match(name) is not None


def _fault(token: str) -> str:
    if token in ("{", "}"):
        return f"a single {token!r}; write {token * 2!r} for a literal brace"
    return f"{token} is not a plain {{column}} placeholder"


def escape(text: str) -> str:
    """Literal text for use inside a template."""
    return text.replace("{", "{{").replace("}", "}}")
