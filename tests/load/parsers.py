"""The two parsers side by side, and what it means that they agree."""

from __future__ import annotations

import math
from io import StringIO
from typing import Any

import ryaml
from hypothesis import strategies as st
from ruamel.yaml import YAML

from studio.load.documents import parse_carefully

keys = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=8)
texts = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20),
    st.sampled_from(
        ["NA", "null", "1e3", "0x1F", "yes", "- a", "a: b", "# c", "&a", "*a", "!t", "%x", "@x", " a ", "'"]
    ),
    st.lists(st.text("ab #:-\n", max_size=8), max_size=4).map("\n".join),
)
numbers = st.one_of(st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False, allow_infinity=False))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


def fast(text: str) -> Any:
    """What the fast parser makes of a text; ValueError when it refuses."""
    return list(ryaml.loads_all(text) or ())


def careful(text: str) -> list[Any]:
    """What the careful parser makes of a text; YamlFault when it refuses."""
    return parse_carefully(text)


def dumped(value: Any, *, flow: bool) -> str:
    """A value as YAML, in block or in flow style."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style, yaml.allow_unicode = flow, True
    stream = StringIO()
    yaml.dump(value, stream)
    return stream.getvalue()


def same(one: Any, other: Any) -> bool:
    """Equal, of the same type all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return (isinstance(one, float) and math.isnan(one) and math.isnan(other)) or one == other
