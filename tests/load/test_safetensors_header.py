"""Weights files, judged by their first bytes and their size."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.load.models import observe
from studio.load.safetensors_header import fault
from studio.resources.model import ModelSpec

QUICKSTART = Path(__file__).resolve().parents[2] / "examples" / "quickstart" / "models" / "tiny-llama"


def packed(header: object, data: bytes) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


GOOD = packed({"__metadata__": {"format": "pt"}, "w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, bytes(8))


def test_real_weights_are_fine() -> None:
    assert fault(QUICKSTART / "model.safetensors") == ""


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (GOOD, ""),
        (packed({}, b""), ""),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 7\n", "Git LFS pointer"),
        (b"", "cut off"),
        (GOOD[:-1], "do not fit"),
        (GOOD + b"x", "do not fit"),
        (GOOD[:20], "cut off"),
        (b"\x08" + bytes(7) + b"not json", "damaged"),
        (packed([1], b""), "damaged"),
        (packed({"w": {"data_offsets": "x"}}, b""), "damaged"),
        (b"\xff" * 64, "not safetensors"),
    ],
)
def test_a_damaged_file_is_told_by_how_it_is_damaged(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "w.safetensors"
    file.write_bytes(content)
    assert words in fault(file) if words else fault(file) == ""


@given(st.binary(max_size=200))
def test_no_bytes_are_too_strange(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "strange.safetensors"
    file.write_bytes(content)
    assert isinstance(fault(file), str)


def test_a_model_whose_weights_were_not_fetched_is_unusable_and_says_how_to_get_them(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json"):
        (folder / name).write_bytes((QUICKSTART / name).read_bytes())
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n")
    found = observe(ModelSpec(type="project", location="model"), tmp_path)
    assert "Git LFS pointer" in str(found) and "git lfs pull" in str(found)
