"""Plain scalars mean the same to both parsers: the YAML 1.2 core schema."""

from __future__ import annotations

import math
from typing import Any

import pytest
import ryaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from studio.load.scalars import resolve

from .parsers import same

plain = st.one_of(
    st.from_regex(r"[-+.0-9a-fA-FxXob_eE~:]{0,12}", fullmatch=True),
    st.from_regex(r"[-+]?[0-9]{1,45}(\.[0-9]{0,4})?([eE][-+]?[0-9]{1,4})?", fullmatch=True),
    st.from_regex(r"[-+]?0[xob][0-9a-fA-F]{0,40}", fullmatch=True),
    st.from_regex(r"(?i)[-+]?\.?(inf|nan|null|true|false|yes|no|on|off|y|n|~)", fullmatch=True),
)


@settings(max_examples=500)
@given(plain)
@example("9" * 5000)
@example("0x" + "F" * 6000)
@example("-170141183460469231731687303715884105729")
@example("340282366920938463463374607431768211456")
@example("1e400")
@example("012")
def test_a_plain_scalar_has_the_value_that_the_fast_parser_gives(text: str) -> None:
    try:
        fast = ryaml.loads(f"key: {text}\n")
    except ValueError:
        return  # the careful parser alone decides
    if isinstance(fast, dict) and list(fast) == ["key"] and not isinstance(fast["key"], dict | list):
        assert same(resolve(text), fast["key"])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NA", "NA"),
        ("N/A", "N/A"),
        ("nan", "nan"),
        ("None", "None"),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("2024-01-01", "2024-01-01"),
        ("12:30:45", "12:30:45"),
        ("1_000", "1_000"),
        ("017", "017"),
        ("1e3", 1000.0),
        ("2.0e-3", 0.002),
        ("0o17", 15),
        ("0x1F", 31),
        ("-5", -5),
        ("~", None),
        ("", None),
        ("null", None),
        ("True", True),
        ("-.inf", -math.inf),
        ("1e400", "1e400"),
        ("18446744073709551616", 2**64),
    ],
)
def test_a_plain_scalar_means_what_yaml_1_2_says(text: str, value: Any) -> None:
    assert same(resolve(text), value)


def test_not_a_number_is_a_float_only_with_its_dot() -> None:
    assert math.isnan(resolve(".nan")) and resolve("nan") == "nan"  # type: ignore[arg-type]
