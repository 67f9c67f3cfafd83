"""Hostile manifests, files and trees, for hypothesis."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from tests.fuzz import corpus

Draw = Callable[[st.SearchStrategy[Any]], Any]

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
SNIPPETS = (
    BOMB, "&a [*a]", "<<: *x", "<<: {kind: Model}", "!!python/object/apply:os.system [id]", "!<tag:x> y",
    "%YAML 1.1\n---\n", "---\n", "...\n", "--- |\n", "[" * 70, "[" * 3_000, "{a: " * 150, "- " * 300, "? " * 100,
    "? [a, b]\n: c\n", "x" * 20_000, "9" * 5_000, "1e999", ".inf", "-.nan", "0x" + "f" * 400, "0o777", "1_000",
    "2026-11-21", "~", "null", "yes", "''", '""', '"\\ud800"', '"\\u0000"', "'{text.__class__}'", "{queue[0]}",
    "{text!r:>9999}", "{{", "}}", "{", "*", "&", "|", ">", "@", "`", "#", ": ", "\t", "\r", "\r\n", "\x00", "\x07",
    "\x1b[2J", "\u2028", "\u202e", "\ufeff", "\ud7ff", "é" * 50, "🎟", "kind: Model\n",
    "metadata: {name: tiny-llama}\n", "name: ../x", "location: /etc/passwd", "location: ../../x", "spec: []\n",
    "${var.rate}", "$${var.rate}", "${var.", "${var.x}${var.long}", "a: ${var.rate}\n", "${var.long}" * 2_000,
    "hf_" + "a" * 34, "::error::x", "<script>", "%s%n", "${HOME}", "$(id)", "\n\n\n", "'" * 3, '"' * 3, "\\",
    ",,,",
)  # fmt: skip
KEYS = ("r", "name", "kind", "spec", "config", "gates", "metrics", "location", "<<", "", "1", "null", "é", "a.b", "[0]")
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.integers(-(10**400), 10**400) | st.floats()
    | st.text(max_size=12) | st.sampled_from(SNIPPETS)
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)  # fmt: skip


@st.composite
def manifests(draw: Draw) -> str:
    """A known manifest after a few changes to its text, or of any shape at all."""
    if draw(st.integers(0, 9)) == 0:
        return json.dumps(draw(VALUES))
    text: str = draw(st.sampled_from(corpus.texts()))
    for _ in range(draw(st.integers(1, 4))):
        text = draw(st.sampled_from(CHANGES))(draw, text)
    return text


def _span(draw: Draw, text: str) -> tuple[int, int]:
    start = draw(st.integers(0, len(text)))
    return start, min(len(text), start + draw(st.integers(0, 40)))


def _replace(draw: Draw, text: str) -> str:
    start, end = _span(draw, text)
    return text[:start] + str(draw(st.sampled_from(SNIPPETS))) + text[end:]


def _drop(draw: Draw, text: str) -> str:
    start, end = _span(draw, text)
    return text[:start] + text[end:]


def _repeat(draw: Draw, text: str) -> str:
    start, end = _span(draw, text)
    return text[:start] + text[start:end] * draw(st.sampled_from((2, 3, 500))) + text[end:]


def _swap_lines(draw: Draw, text: str) -> str:
    lines = text.split("\n")
    first, second = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
    lines[first], lines[second] = lines[second], lines[first]
    return "\n".join(lines)


def _shift_line(draw: Draw, text: str) -> str:
    lines = text.split("\n")
    at = draw(st.integers(0, len(lines) - 1))
    lines[at] = draw(st.sampled_from((" ", "  ", "\t", "- "))) + lines[at]
    return "\n".join(lines)


def _set_value(draw: Draw, text: str) -> str:
    """Another value behind one of the colons."""
    colons = [index for index in range(len(text)) if text.startswith(": ", index)]
    if not colons:
        return text
    at = draw(st.sampled_from(colons)) + 2
    end = min((e for e in (text.find(mark, at) for mark in (",", "}", "\n", "]")) if e >= 0), default=len(text))
    return text[:at] + json.dumps(draw(VALUES)) + text[end:]


def _insert(draw: Draw, text: str) -> str:
    at = draw(st.integers(0, len(text)))
    return text[:at] + str(draw(st.text(max_size=4))) + text[at:]


CHANGES: tuple[Callable[[Draw, str], str], ...] = (
    _replace, _drop, _repeat, _swap_lines, _shift_line, _set_value, _set_value, _insert,
)  # fmt: skip

ENCODINGS = ("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1")
NAMES = (
    "extra.yaml",
    "sub/deep/er/x.yml",
    ".hidden.yaml",
    "no-suffix",
    "a b.yaml",
    "é.yaml",
    "x\ny.yaml",
    "\x1b[2J.yaml",
    "-.yaml",
)


def _encoded(draw: Draw, text: str) -> bytes:
    content = text.encode(draw(st.sampled_from(ENCODINGS)), errors="replace")
    if draw(st.integers(0, 9)) == 0:
        at = draw(st.integers(0, len(content)))
        content = content[:at] + draw(st.binary(min_size=1, max_size=4)) + content[at:]
    return content


@st.composite
def trees(draw: Draw) -> dict[str, bytes]:
    """The sample project with hostile manifests among its own, and some of its inputs spoiled."""
    files = dict(corpus.project())
    for _ in range(draw(st.integers(0, 2))):
        files[f"manifests/{draw(st.sampled_from(NAMES))}"] = _encoded(draw, draw(manifests()))
    for name in draw(st.lists(st.sampled_from(sorted(files)), max_size=3)):
        if draw(st.integers(0, 4)) == 0:
            files.pop(name, None)
        elif name in files:
            text = files[name].decode("utf-8", errors="replace")
            files[name] = _encoded(draw, draw(st.sampled_from(CHANGES))(draw, text))
    return files


class Special:
    """What a tree may hold besides files."""

    LOOP, OUTSIDE, ITSELF, FOLDER, PIPE, DANGLING = "loop", "outside", "itself", "folder", "pipe", "dangling"


SPECIALS = tuple(value for name, value in vars(Special).items() if name.isupper())
PLACES = (
    "manifests/special.yaml",
    "manifests/special",
    "data/tickets.csv",
    "models/tiny-llama",
    "scripts/special",
    "studio.yaml",
)


@st.composite
def specials(draw: Draw) -> dict[str, str]:
    """Links in circles, pipes, folders in the place of files."""
    if draw(st.integers(0, 3)):
        return {}
    found: dict[str, str] = draw(st.dictionaries(st.sampled_from(PLACES), st.sampled_from(SPECIALS), max_size=2))
    return found
