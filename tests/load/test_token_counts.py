"""Counting tokens: the numbers of the tokenizer itself, a reason where there is none, no harm from a hostile one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from studio.load import token_counts
from studio.load.token_counts import Count, NotAtHand, Tokenizer
from studio.resources.model import ModelSpec

MODEL = ModelSpec(type="project", location="model")
WORDS: dict[str, Any] = {
    "version": "1.0",
    "added_tokens": [],
    "pre_tokenizer": {"type": "WhitespaceSplit"},
    "model": {"type": "WordLevel", "vocab": {"<unk>": 0}, "unk_token": "<unk>"},
}


def write(root: Path, tokenizer: Any = None, **config: Any) -> None:
    folder = root / "model"
    folder.mkdir(exist_ok=True)
    content = tokenizer if isinstance(tokenizer, str) else json.dumps(WORDS | (tokenizer or {}))
    (folder / "tokenizer.json").write_text(content)
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "</s>", **config}))


def found(root: Path) -> Tokenizer:
    tokenizer = token_counts.in_project(MODEL, root)
    assert isinstance(tokenizer, Tokenizer), tokenizer
    return tokenizer


def counted(root: Path, *pairs: tuple[str, str], limit: int = -1) -> list[Count]:
    counts = token_counts.count(found(root), pairs, limit)
    assert isinstance(counts, list), counts
    return counts


def test_tokens_and_the_beginning_of_the_completion_are_counted(tmp_path: Path) -> None:
    write(tmp_path)
    assert counted(tmp_path, ("a b", " c</s>"), ("", "a")) == [Count(4, 2), Count(1, 0)]


def test_the_beginning_is_looked_up_for_long_rows_only(tmp_path: Path) -> None:
    write(tmp_path)
    assert counted(tmp_path, ("a b", " c</s>"), ("a b c", " d</s>"), limit=4) == [Count(4, 0), Count(5, 3)]


def test_tokens_that_only_the_configuration_names_count_as_one(tmp_path: Path) -> None:
    write(tmp_path, added_tokens_decoder={"7": {"content": "<turn>", "special": True}}, extra_special_tokens=["<end>"])
    assert counted(tmp_path, ("<turn>a<end>", "b</s>")) == [Count(5, 3)]


def test_special_tokens_that_have_a_purpose_count_by_their_text(tmp_path: Path) -> None:
    write(tmp_path, extra_special_tokens={"image_token": "<image>"})
    assert counted(tmp_path, ("<image>a image_token", "b</s>")) == [Count(4, 3)]


def test_special_tokens_are_added_as_the_tokenizer_says(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "added_tokens": [{"id": 1, "content": "<s>", "special": True} | dict.fromkeys(FLAGS, False)],
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
                "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
            },
        },
    )
    assert counted(tmp_path, ("a b", " c</s>")) == [Count(5, 3)]


FLAGS = ("single_word", "lstrip", "rstrip", "normalized")


def test_truncation_and_padding_of_the_file_do_not_count(tmp_path: Path) -> None:
    truncation = {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0}
    write(tmp_path, {"truncation": truncation})
    assert counted(tmp_path, ("a b c", " d")) == [Count(4, 3)]


def test_half_of_a_surrogate_pair_is_counted_as_some_character(tmp_path: Path) -> None:
    write(tmp_path)
    assert counted(tmp_path, ("\ud800 b", " c")) == [Count(3, 2)]


@pytest.mark.parametrize(
    ("config", "eos"),
    [({}, "</s>"), ({"eos_token": {"content": "<end>"}}, "<end>"), ({"eos_token": None}, ""), ({"eos_token": 5}, "")],
)
def test_the_token_that_ends_a_text_is_the_one_of_the_configuration(
    tmp_path: Path, config: dict[str, Any], eos: str
) -> None:
    write(tmp_path, None, **config)
    assert found(tmp_path).eos == eos


def test_an_old_tokenizer_names_its_special_tokens_in_a_file_of_their_own(tmp_path: Path) -> None:
    write(tmp_path, eos_token=None)
    (tmp_path / "model" / "special_tokens_map.json").write_text('{"eos_token": "<stop>"}')
    assert found(tmp_path).eos == "<stop>"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "5",
        "\ud83d",
        "[" * 100_000,
        json.dumps({"version": "1.0", "model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}}),
        json.dumps(WORDS | {"model": {"type": "WordLevel", "vocab": {}, "unk_token": "<unk>"}}),
        json.dumps(WORDS | {"model": {"type": "Unigram", "unk_id": 99, "vocab": [["a", 0.0]]}}),
        json.dumps(WORDS | {"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated"}}),
    ],
)
def test_a_tokenizer_that_does_not_load_is_said_not_to(tmp_path: Path, content: str) -> None:
    write(tmp_path, content.encode("utf-8", "replace").decode())
    refused = token_counts.count(found(tmp_path), [("a", "b")], -1)
    assert isinstance(refused, NotAtHand) and "tokenizer.json does not load" in refused.reason and refused.hint


@pytest.mark.slow
def test_a_tokenizer_that_asks_for_all_memory_ends_at_a_limit(tmp_path: Path) -> None:
    grows = {"type": "Replace", "pattern": {"Regex": "a"}, "content": "a" * 1_000}
    write(tmp_path, {"normalizer": {"type": "Sequence", "normalizers": [grows, grows, grows, grows]}})
    assert isinstance(token_counts.count(found(tmp_path), [("a" * 1_000, "b")], -1), NotAtHand)


def test_a_tokenizer_that_asks_for_all_time_ends_at_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_counts, "SECONDS", 1)
    grows = {"type": "Replace", "pattern": {"Regex": "a"}, "content": "aaaa"}
    write(tmp_path, {"normalizer": {"type": "Sequence", "normalizers": [grows] * 9}})
    assert isinstance(token_counts.count(found(tmp_path), [("a" * 1_000, "b")] * 50, -1), NotAtHand)


def test_a_project_s_own_module_is_not_taken_for_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path)
    (tmp_path / "tokenizers.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    assert counted(tmp_path, ("a", " b")) == [Count(2, 1)]


def test_nothing_is_read_outside_the_project(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    write(tmp_path)
    (root / "model").mkdir()
    (root / "model" / "tokenizer.json").symlink_to(tmp_path / "model" / "tokenizer.json")
    for spec in (MODEL, ModelSpec(type="project", location="../model"), ModelSpec(type="huggingface")):
        assert isinstance(token_counts.in_project(spec, root), NotAtHand)


def test_a_tokenizer_is_taken_from_the_hub_cache_at_its_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    snapshot = tmp_path / "models--acme--tiny" / "snapshots" / commit
    snapshot.mkdir(parents=True)
    write(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (snapshot / name).symlink_to(tmp_path / "model" / name)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    spec = ModelSpec(type="huggingface", huggingface_model_name="acme/tiny", revision=commit)
    cached = token_counts.of(spec, tmp_path)
    assert isinstance(cached, Tokenizer) and cached.eos == "</s>"
    other = token_counts.of(spec.model_copy(update={"revision": "main"}), tmp_path)
    assert isinstance(other, NotAtHand) and "hf download acme/tiny tokenizer.json" in other.hint


@pytest.mark.parametrize("name", ["", "../etc", "a/b/c", "a b", "\0"])
def test_a_name_that_is_none_of_the_hub_s_is_said_to_be_none(tmp_path: Path, name: str) -> None:
    spec = ModelSpec(type="huggingface", huggingface_model_name=name)
    assert isinstance(token_counts.of(spec, tmp_path), NotAtHand)
