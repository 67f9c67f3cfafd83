"""Content hashes: one canonical form, and the same digest for ever."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core import fingerprints
from studio.core.fingerprints import canonical, digest, file_digest, folder_digest

data = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def reordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(value)}
    return [reordered(item) for item in value] if isinstance(value, list) else value


@given(data)
def test_the_order_of_keys_does_not_matter(value: Any) -> None:
    assert digest(value) == digest(reordered(value))


@given(data, data)
def test_values_of_one_canonical_form_are_equal(one: Any, other: Any) -> None:
    assert canonical(one) != canonical(other) or one == other


@given(data)
def test_the_canonical_form_reads_back_as_the_value(value: Any) -> None:
    assert json.loads(canonical(value)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [1, 2.0, None, True, "é"]}, '{"a":[1,2.0,null,true,"é"],"b":1}'),
        ({"1": "x", "a": {}}, '{"1":"x","a":{}}'),
        ((1, 2), "[1,2]"),
        ("", '""'),
    ],
)
def test_the_canonical_form_is_sorted_json_without_spaces(value: Any, text: str) -> None:
    assert canonical(value) == text


@pytest.mark.parametrize(("one", "other"), [(1, True), (1, 1.0), (0, False), ("1", 1), (None, ""), ([], {})])
def test_values_that_python_may_call_equal_are_told_apart(one: Any, other: Any) -> None:
    assert digest(one) != digest(other)


def test_keys_of_several_types_have_a_digest() -> None:
    assert digest({1: "a", "b": {None: 2}}) == digest({"b": {None: 2}, 1: "a"})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b"),
        ({}, "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"),
        ({"b": [1, 2.5, "ü"], "a": None}, "3ca4eda1ebfd02e4296104981a1e65d4e87e99084ac993fafbc515a8f6a8ad84"),
        (
            {"kind": "Config", "type": "lora_config", "config": '{"r":16}'},
            "73b2125b1e40645f91f49a584f32383c40645e8b8285851110e4d1780f6256cb",
        ),
    ],
)
def test_digests_never_change_because_recorded_ones_would_all_be_outdated(value: Any, expected: str) -> None:
    assert digest(value) == expected


@given(st.text(st.characters()))
def test_any_text_has_a_digest_lone_surrogates_too(text: str) -> None:
    assert len(digest(text)) == 64
    assert len(digest(text + "\ud800")) == 64


@given(st.binary(max_size=300))
def test_a_files_digest_is_that_of_its_bytes(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    assert file_digest(file) == hashlib.sha256(content).hexdigest()


def test_a_file_larger_than_a_block_is_read_to_its_end(tmp_path: Path) -> None:
    content = b"x" * (fingerprints.BLOCK * 2 + 1)
    (tmp_path / "large").write_bytes(content)
    assert file_digest(tmp_path / "large") == hashlib.sha256(content).hexdigest()


def test_a_folders_digest_follows_names_and_content_but_not_order(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("1")
    other.write_text("2")
    assert folder_digest({"a": one, "b": other}) == folder_digest({"b": other, "a": one})
    assert folder_digest({"a": one, "b": other}) != folder_digest({"a": other, "b": one})
    assert folder_digest({"a": one}) != folder_digest({"c": one})
