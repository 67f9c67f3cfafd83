"""HTML, one element at a time. What is not markup made here is text: it is escaped, and secrets in it are hidden."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from html import escape
from pathlib import Path

from studio.core.secrets import redact

GENERATOR = "Fine Tuning Studio"
BEGINNING = (
    f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="generator" content="{GENERATOR}">'
)
"""Of every page: a file that begins so may be replaced by another."""
STYLE = Path(__file__).with_name("style.css").read_text("utf-8")
POLICY = (
    f"default-src 'none'; style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'"
)
"""No script, no picture, no address but what stands in the page; and no other style than this one."""
_VOID = frozenset({"meta", "br", "line", "rect", "path", "circle", "polyline", "col"})
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
"""Control characters but tab and line break, what reverses the direction of text, what no encoding can write."""


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def text(content: object) -> Markup:
    """Anything as text of a page or an attribute."""
    if isinstance(content, Markup):
        return content
    return Markup(escape(_UNSAFE.sub("\N{REPLACEMENT CHARACTER}", redact(str(content)))))


def tag(name: str, /, *children: object, **attributes: object) -> Markup:
    """An element. Attributes that are None or False are left out, True stands alone; ``class_`` is ``class``, and
    other underscores are hyphens, as in ``aria_label``."""
    told = "".join(_attribute(key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items())
    if name in _VOID and not children:
        return Markup(f"<{name}{told}/>" if name not in ("meta", "br", "col") else f"<{name}{told}>")
    return Markup(f"<{name}{told}>{join(*children)}</{name}>")


def _attribute(name: str, value: object) -> str:
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{text(value)}"'


def join(*children: object) -> Markup:
    """One after the other."""
    return Markup("".join(text(child) for child in children if child is not None))


def page(title: str, *body: object, refresh: int = 0) -> str:
    """The whole document, which needs nothing else."""
    head = join(
        tag("meta", http_equiv="Content-Security-Policy", content=Markup(POLICY)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", http_equiv="refresh", content=refresh) if refresh else None,
        tag("title", title),
        Markup(f"<style>{STYLE}</style>"),
    )
    return f"{BEGINNING}{head}</head>\n<body>{join(*body)}</body></html>\n"
