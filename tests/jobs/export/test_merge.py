"""Merging adapters into weights without loading the model."""

from __future__ import annotations

import dataclasses
import errno
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from studio.core.errors import JobError
from studio.core.fingerprints import file_digest
from studio.jobs.export import lora_sums, lora_weights, merge

from ..workbench import build_model

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def build_adapter(base: Path, folder: Path, **config: Any) -> Path:
    """A LoRA adapter whose B is not zero, so that it changes something."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_pretrained(str(base))
    adapted = get_peft_model(model, LoraConfig(**{"r": 4, "lora_alpha": 6, "task_type": "CAUSAL_LM", **config}))
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    adapted.save_pretrained(str(folder))
    return folder


def merged_by_peft(base: Path, adapter: Path) -> dict[str, torch.Tensor]:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(str(base), dtype="auto")
    merged: dict[str, torch.Tensor] = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload().state_dict()
    return merged


def merged_by_us(base: Path, adapter: Path, output: Path) -> dict[str, torch.Tensor]:
    output.mkdir()
    assert merge.merge(base, adapter, output).plan.changed > 0
    weights: dict[str, torch.Tensor] = {}
    for shard in output.glob("*.safetensors"):
        weights |= load_file(shard)
    return weights


CONFIGS: dict[str, dict[str, Any]] = {
    "plain": {"target_modules": ["q_proj", "v_proj"]},
    "all linear": {"target_modules": "all-linear"},
    "rank-stabilised": {"target_modules": "all-linear", "use_rslora": True},
    "patterns": {
        "target_modules": ["q_proj", "down_proj"],
        "rank_pattern": {"layers.1.self_attn.q_proj": 8},
        "alpha_pattern": {"down_proj": 3},
    },
}


@pytest.mark.parametrize("name", CONFIGS)
def test_merging_equals_peft(tiny_model: Path, tmp_path: Path, name: str) -> None:
    adapter = build_adapter(tiny_model, tmp_path / "adapter", **CONFIGS[name])
    theirs = merged_by_peft(tiny_model, adapter)
    ours = merged_by_us(tiny_model, adapter, tmp_path / "out")
    for key, weight in ours.items():
        assert torch.equal(weight, theirs[key]), key


@pytest.mark.parametrize("dtype", ["bf16", "fp16"])
def test_half_precision_weights_are_rounded_once(tmp_path: Path, dtype: str) -> None:
    base = half(build_model(tmp_path / "base"), DTYPES[dtype])
    adapter = build_adapter(base, tmp_path / "adapter", target_modules="all-linear")
    theirs = merged_by_peft(base, adapter)
    ours = merged_by_us(base, adapter, tmp_path / "out")
    changed = load_file(base / "model.safetensors")
    assert any(not torch.equal(weight, changed[key]) for key, weight in ours.items())
    for key, weight in ours.items():
        assert weight.dtype == DTYPES[dtype] and torch.equal(weight, theirs[key]), key


def half(folder: Path, dtype: torch.dtype) -> Path:
    weights = {key: weight.to(dtype) for key, weight in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    config["dtype"] = str(dtype).removeprefix("torch.")
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_transposed_layers_of_gpt2_and_a_missing_prefix_are_merged(tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    base = tmp_path / "base"
    config = GPT2Config(vocab_size=64, n_positions=32, n_embd=32, n_layer=2, n_head=2)
    torch.manual_seed(0)
    GPT2LMHeadModel(config).save_pretrained(str(base))
    adapter = build_adapter(base, tmp_path / "adapter", target_modules=["c_attn", "c_proj"], fan_in_fan_out=True)
    theirs = merged_by_peft(base, adapter)
    ours = merged_by_us(base, adapter, tmp_path / "out")
    for key, weight in ours.items():
        assert torch.equal(weight, theirs[key]), key

    bare = {key.removeprefix("transformer."): weight for key, weight in load_file(base / "model.safetensors").items()}
    save_file(bare, base / "model.safetensors", {"format": "pt"})
    again = merged_by_us(base, adapter, tmp_path / "again")
    assert torch.equal(again["h.0.attn.c_attn.weight"], ours["transformer.h.0.attn.c_attn.weight"])


def test_shards_are_merged_one_by_one(tiny_model: Path, tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(tiny_model, base)
    weights = load_file(base / "model.safetensors")
    names = sorted(weights)
    (base / "model.safetensors").unlink()
    for number, part in enumerate((names[::2], names[1::2])):
        shard = {name: weights[name] for name in part}
        save_file(shard, base / f"model-{number + 1:05}-of-00002.safetensors", {"format": "pt"})
    adapter = build_adapter(tiny_model, tmp_path / "adapter", target_modules="all-linear")
    whole, split = (
        merged_by_us(tiny_model, adapter, tmp_path / "whole"),
        merged_by_us(base, adapter, tmp_path / "split"),
    )
    assert whole.keys() == split.keys() and all(torch.equal(whole[name], split[name]) for name in whole)


def test_small_blocks_give_the_same_weights(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = build_adapter(tiny_model, tmp_path / "adapter", target_modules="all-linear")
    large = merged_by_us(tiny_model, adapter, tmp_path / "large")
    monkeypatch.setattr(lora_sums, "BLOCK_ELEMENTS", 1)
    monkeypatch.setattr(merge, "RUN_BYTES", 1)
    small = merged_by_us(tiny_model, adapter, tmp_path / "small")
    for key, weight in large.items():
        assert torch.equal(weight, small[key]), key


@pytest.mark.parametrize("shards", [1, 2])
def test_digests_of_the_files_come_with_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shards: int) -> None:
    base = build_model(tmp_path / "base")
    if shards == 2:
        split(base)
    adapter = build_adapter(base, tmp_path / "adapter", target_modules="all-linear")
    monkeypatch.setattr(merge, "RUN_BYTES", 1)
    for folder in ("merged", "copied"):
        (tmp_path / folder).mkdir()
    merged = merge.merge(base, adapter, tmp_path / "merged").digests
    copied = merge.copy(base, tmp_path / "copied")
    for folder, digests in (("merged", merged), ("copied", copied), ("base", copied)):
        assert digests == {file.name: file_digest(file) for file in (tmp_path / folder).glob("*.safetensors")}


def test_a_merge_that_fails_does_not_compute_the_rest(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = build_adapter(tiny_model, tmp_path / "adapter", target_modules=["q_proj"])
    tried: list[merge.Run] = []

    def full(run: merge.Run, adapter: Path) -> int:
        tried.append(run)
        time.sleep(0.05)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(merge, "RUN_BYTES", 1)
    monkeypatch.setattr(merge, "_write", full)
    (tmp_path / "out").mkdir()
    with pytest.raises(OSError, match="No space left"):
        merge.merge(tiny_model, adapter, tmp_path / "out")
    assert len(tried) < len(load_file(tiny_model / "model.safetensors"))


def test_what_is_not_targeted_stays_byte_for_byte(tiny_model: Path, tmp_path: Path) -> None:
    adapter = build_adapter(tiny_model, tmp_path / "adapter", target_modules=["q_proj"])
    ours = merged_by_us(tiny_model, adapter, tmp_path / "out")
    base = load_file(tiny_model / "model.safetensors")
    for key, weight in ours.items():
        assert torch.equal(weight, base[key]) is ("q_proj" not in key)


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"target_modules": ["q_proj"], "init_lora_weights": "olora"}, "olora"),
        ({"target_modules": ["q_proj"], "trainable_token_indices": {"embed_tokens": [0]}}, "trainable_token_indices"),
    ],
)
def test_what_is_more_than_lora_is_refused(
    tiny_model: Path, tmp_path: Path, config: dict[str, Any], fault: str
) -> None:
    adapter = build_adapter(tiny_model, tmp_path / "adapter", **config)
    with pytest.raises(JobError, match=fault):
        merge.merge(tiny_model, adapter, tmp_path)


def edited(folder: Path, name: str, **changes: Any) -> None:
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


MERGED = {
    "task_type", "peft_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision", "inference_mode",
    "r", "target_modules", "exclude_modules", "lora_alpha", "lora_dropout", "fan_in_fan_out", "bias", "use_rslora",
    "modules_to_save", "init_lora_weights", "layers_to_transform", "layers_pattern", "rank_pattern", "alpha_pattern",
    "megatron_config", "megatron_core", "use_dora", "lora_bias", "runtime_config", "ensure_weight_tying",
}  # fmt: skip
ONLY_WITH_ANOTHER = {"loftq_config", "eva_config", "corda_config", "lora_ga_config", "qalora_group_size"}
"""They say how something starts or is cut, which init_lora_weights or use_qalora decides."""


def test_every_setting_of_lora_is_merged_or_refused() -> None:
    """A setting that a new PEFT brings is looked at before its adapters are merged."""
    from peft import LoraConfig

    known = MERGED | ONLY_WITH_ANOTHER | set(lora_weights.REFUSED)
    assert {each.name for each in dataclasses.fields(LoraConfig)} == known


@pytest.mark.parametrize("key", lora_weights.REFUSED)
def test_an_adapter_with_a_setting_that_is_more_than_lora_is_refused(tmp_path: Path, key: str) -> None:
    config = {"peft_type": "LORA", "r": 4, "lora_alpha": 4, key: {"some": "value"}}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(JobError, match=f"trained with {key}") as caught:
        lora_weights.changes(tmp_path)
    assert caught.value.hint == "export it with weights: adapter"


@pytest.mark.parametrize("start", ["pissa", "pissa_niter_16", "olora", "corda", "loftq", "lora_ga", "something new"])
def test_an_adapter_whose_training_changed_the_base_is_refused(tmp_path: Path, start: str) -> None:
    config = {"peft_type": "LORA", "r": 4, "lora_alpha": 4, "init_lora_weights": start}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(JobError, match="changed the base weights in training"):
        lora_weights.changes(tmp_path)


@pytest.mark.parametrize("kind", ["IA3", "LOHA", "LOKR", "ADALORA", "OFT", "PROMPT_TUNING", "VERA", None])
def test_other_kinds_of_adapters_are_refused(tmp_path: Path, kind: str | None) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": kind}))
    with pytest.raises(JobError, match=f"its peft_type is {kind}, not LORA"):
        lora_weights.changes(tmp_path)


def test_a_rank_that_the_weights_do_not_have_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    adapter = build_adapter(tiny_model, tmp_path / "adapter", target_modules=["q_proj"])
    edited(adapter, "adapter_config.json", r=5)
    with pytest.raises(JobError, match="rank 4"):
        lora_weights.changes(adapter)


@pytest.mark.parametrize("change", ["layers", "width"])
def test_an_adapter_of_another_model_is_refused(tiny_model: Path, tmp_path: Path, change: str) -> None:
    config = {"num_hidden_layers": 3} if change == "layers" else {"hidden_size": 128}
    other = build_model(tmp_path / "other", **config)
    adapter = build_adapter(other, tmp_path / "adapter", target_modules=["q_proj"])
    with pytest.raises(JobError, match="another model"):
        merge.merge(tiny_model, adapter, tmp_path)


def test_integers_that_nothing_calls_quantised_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    adapter = build_adapter(tiny_model, tmp_path / "adapter", target_modules=["q_proj"])
    base = tmp_path / "base"
    shutil.copytree(tiny_model, base)
    weights = load_file(base / "model.safetensors")
    name = "model.layers.0.self_attn.q_proj.weight"
    save_file(weights | {name: weights[name].to(torch.int8)}, base / "model.safetensors", {"format": "pt"})
    with pytest.raises(JobError, match="stored as I8"):
        merge.merge(base, adapter, tmp_path)


def logits(base: Path, adapter: Path | None = None) -> torch.Tensor:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(str(base), dtype="auto").eval()
    adapted = PeftModel.from_pretrained(model, str(adapter)) if adapter else model
    with torch.no_grad():
        result: torch.Tensor = adapted(torch.arange(8)[None]).logits
    return result


@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize(
    "config",
    [
        {"target_modules": ["lm_head"]},
        {"target_modules": ["embed_tokens"]},
        {"target_modules": ["embed_tokens", "lm_head"]},
        {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]},
        {"target_modules": ["q_proj", "embed_tokens"], "modules_to_save": ["lm_head"], "use_dora": True},
        {"target_modules": ["embed_tokens"], "ensure_weight_tying": True},
    ],
    ids=["head", "embedding", "both", "whole head", "dora", "tied by PEFT"],
)
def test_tied_weights_are_untied_and_answer_as_the_adapter_did(
    tmp_path: Path, config: dict[str, Any], shards: int
) -> None:
    """PEFT's merge changes both of the tied weights, and so answers otherwise than the adapter it merged."""
    base = build_model(tmp_path / "base", tie_word_embeddings=True)
    if shards == 2:
        split(base)
    adapter = build_adapter(base, tmp_path / "adapter", **config)
    output = tmp_path / "out"
    shutil.copytree(base, output, ignore=shutil.ignore_patterns("*.safetensors"))
    plan = merge.merge(base, adapter, output).plan
    merge.settle(plan, output)
    assert plan.unties and json.loads((output / "config.json").read_text())["tie_word_embeddings"] is False
    torch.testing.assert_close(logits(output), logits(base, adapter), rtol=0, atol=2e-5)
    assert not torch.allclose(logits(output), logits(base))


def test_tied_weights_stay_tied_when_neither_is_changed(tmp_path: Path) -> None:
    base = build_model(tmp_path / "base", tie_word_embeddings=True)
    adapter = build_adapter(base, tmp_path / "adapter", target_modules=["q_proj"])
    (tmp_path / "out").mkdir()
    plan = merge.merge(base, adapter, tmp_path / "out").plan
    assert not plan.unties and "lm_head.weight" not in load_file(tmp_path / "out/model.safetensors")


def split(base: Path) -> None:
    """Two shards with an index, in place of one file."""
    weights = load_file(base / "model.safetensors")
    (base / "model.safetensors").unlink()
    names, index = sorted(weights), {}
    for number, part in enumerate((names[::2], names[1::2])):
        file = f"model-{number + 1:05}-of-00002.safetensors"
        save_file({name: weights[name] for name in part}, base / file, {"format": "pt"})
        index |= dict.fromkeys(part, file)
    (base / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))


def test_biases_of_lora_itself_are_merged(tmp_path: Path) -> None:
    base = build_model(tmp_path / "base", attention_bias=True)
    adapter = build_adapter(base, tmp_path / "adapter", target_modules=["q_proj"], lora_bias=True)
    theirs, ours = merged_by_peft(base, adapter), merged_by_us(base, adapter, tmp_path / "out")
    name = "model.layers.0.self_attn.q_proj.bias"
    assert torch.equal(ours[name], theirs[name]) and not torch.equal(
        ours[name], load_file(base / "model.safetensors")[name]
    )


def rewritten(adapter: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> None:
    path = adapter / "adapter_model.safetensors"
    save_file(change(load_file(path)), path)


LAYER = "base_model.model.model.layers.0.self_attn.q_proj"


@pytest.mark.parametrize(
    ("config", "change", "fault"),
    [
        ({}, {f"{LAYER}.lora_C.weight": (4, 4)}, "lora_C.weight, which is neither"),
        ({}, {"elsewhere.weight": (4,)}, "elsewhere.weight, which is neither"),
        ({}, {"base_model.model.model.norms.weight": (4,)}, "no model.norms.weight"),
        ({}, {f"{LAYER}.lora_A.weight": None}, "only one of the matrices"),
        ({}, {f"{LAYER}.lora_B.weight": (64, 3)}, "different ranks: 4 and 3"),
        ({}, {f"{LAYER}.lora_A.weight": (4, 8, 8)}, "neither a linear layer nor an embedding"),
        ({}, {f"{LAYER}.lora_magnitude_vector": (64,)}, "has a magnitude, but it was not trained with use_dora"),
        ({"use_dora": True}, {f"{LAYER}.lora_magnitude_vector": None}, "has no magnitude"),
        ({"use_dora": True}, {f"{LAYER}.lora_magnitude_vector": (3,)}, "magnitude has .3,."),
        ({}, {f"{LAYER}.lora_B.bias": (64,)}, "no model.layers.0.self_attn.q_proj.bias"),
        ({"modules_to_save": ["lm_head"]}, {"base_model.model.lm_head.weight": (7, 64)}, "lm_head.weight has shape"),
    ],
)
def test_adapters_that_are_not_what_they_say_are_refused(
    tiny_model: Path,
    tmp_path: Path,
    config: dict[str, Any],
    change: dict[str, tuple[int, ...] | None],
    fault: str,
) -> None:
    adapter = build_adapter(tiny_model, tmp_path / "adapter", **{"target_modules": ["q_proj"], **config})
    extra = {name: torch.zeros(shape) for name, shape in change.items() if shape}
    rewritten(adapter, lambda held: {k: v for k, v in held.items() if k not in change} | extra)
    with pytest.raises(JobError, match=fault):
        merge.merge(tiny_model, adapter, tmp_path)


def test_everything_without_a_place_is_named_at_once(tiny_model: Path, tmp_path: Path) -> None:
    other = build_model(tmp_path / "other", num_hidden_layers=4)
    adapter = build_adapter(other, tmp_path / "adapter", target_modules=["q_proj"])
    with pytest.raises(JobError, match=r"no model.layers.2.\S+, model.layers.3.\S+weight: the adapter was made"):
        merge.merge(tiny_model, adapter, tmp_path)


def test_an_adapter_without_weights_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    adapter = build_adapter(tiny_model, tmp_path / "adapter", target_modules=["q_proj"])
    rewritten(adapter, lambda held: {})
    with pytest.raises(JobError, match="holds no weights"):
        merge.merge(tiny_model, adapter, tmp_path)


def test_only_the_shards_that_the_index_names_are_taken(tiny_model: Path, tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(tiny_model, base)
    split(base)
    shutil.copyfile(tiny_model / "model.safetensors", base / "consolidated.safetensors")
    (tmp_path / "out").mkdir()
    merge.copy(base, tmp_path / "out")
    assert sorted(path.name[:11] for path in (tmp_path / "out").iterdir()) == ["model-00001", "model-00002"]
    (base / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(JobError, match=r"not there: model-00002-of-00002\.safetensors"):
        merge.copy(base, tmp_path / "out")


@pytest.mark.parametrize("size", [4, 40, -10])
def test_a_broken_file_is_refused(tiny_model: Path, tmp_path: Path, size: int) -> None:
    base = tmp_path / "base"
    shutil.copytree(tiny_model, base)
    content = (tiny_model / "model.safetensors").read_bytes()
    (base / "model.safetensors").write_bytes(content[:size])
    with pytest.raises(JobError, match="safetensors"):
        merge.copy(base, tmp_path)
