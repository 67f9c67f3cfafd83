"""Merging adapters into weights without loading the model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from studio.core.errors import JobError
from studio.jobs import lora_weights, merge

from .workbench import build_model

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
    assert merge.merge(base, adapter, output) > 0
    weights: dict[str, torch.Tensor] = {}
    for shard in output.glob("*.safetensors"):
        weights |= load_file(shard)
    return weights


def ulps(ours: torch.Tensor, theirs: torch.Tensor) -> int:
    """The largest distance in units of the last place."""
    width = {2: torch.int16, 4: torch.int32}[ours.element_size()]
    return int((ours.view(width).long() - theirs.contiguous().view(width).long()).abs().max())


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
    """fp32: equal up to one unit in the last place of the sum, since products over fewer rows may add differently."""
    adapter = build_adapter(tiny_model, tmp_path / "adapter", **CONFIGS[name])
    theirs = merged_by_peft(tiny_model, adapter)
    ours = merged_by_us(tiny_model, adapter, tmp_path / "out")
    for key, weight in ours.items():
        torch.testing.assert_close(weight, theirs[key], rtol=0, atol=1.2e-7)


@pytest.mark.parametrize("dtype", ["bf16", "fp16"])
def test_half_precision_weights_are_rounded_once(tmp_path: Path, dtype: str) -> None:
    base = half(build_model(tmp_path / "base"), DTYPES[dtype])
    adapter = build_adapter(base, tmp_path / "adapter", target_modules="all-linear")
    theirs = merged_by_peft(base, adapter)
    ours = merged_by_us(base, adapter, tmp_path / "out")
    changed = load_file(base / "model.safetensors")
    assert any(not torch.equal(weight, changed[key]) for key, weight in ours.items())
    for key, weight in ours.items():
        assert weight.dtype == DTYPES[dtype] and ulps(weight, theirs[key]) <= 1


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
        torch.testing.assert_close(weight, theirs[key], rtol=0, atol=1.2e-7)

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
    monkeypatch.setattr(merge, "BLOCK_ELEMENTS", 1)
    small = merged_by_us(tiny_model, adapter, tmp_path / "small")
    for key, weight in large.items():
        torch.testing.assert_close(weight, small[key], rtol=0, atol=1.2e-7)


def test_what_is_not_targeted_stays_byte_for_byte(tiny_model: Path, tmp_path: Path) -> None:
    adapter = build_adapter(tiny_model, tmp_path / "adapter", target_modules=["q_proj"])
    ours = merged_by_us(tiny_model, adapter, tmp_path / "out")
    base = load_file(tiny_model / "model.safetensors")
    for key, weight in ours.items():
        assert torch.equal(weight, base[key]) is ("q_proj" not in key)


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"target_modules": ["q_proj"], "use_dora": True}, "use_dora"),
        ({"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"target_modules": ["embed_tokens"]}, "embed"),
        ({"target_modules": ["q_proj"], "bias": "lora_only"}, "bias"),
        ({"target_modules": ["q_proj"], "init_lora_weights": "olora"}, "olora"),
        ({"target_modules": ["q_proj"], "trainable_token_indices": {"embed_tokens": [0]}}, "trainable_token_indices"),
    ],
)
def test_what_is_more_than_plain_lora_is_refused(
    tiny_model: Path, tmp_path: Path, config: dict[str, Any], fault: str
) -> None:
    adapter = build_adapter(tiny_model, tmp_path / "adapter", **config)
    with pytest.raises(JobError, match=fault):
        merge.merge(tiny_model, adapter, tmp_path)


def edited(folder: Path, name: str, **changes: Any) -> None:
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_other_kinds_of_adapters_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    adapter = build_adapter(tiny_model, tmp_path / "adapter", target_modules=["q_proj"])
    edited(adapter, "adapter_config.json", peft_type="IA3")
    with pytest.raises(JobError, match="IA3"):
        lora_weights.pairs(adapter)


def test_a_rank_that_the_weights_do_not_have_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    adapter = build_adapter(tiny_model, tmp_path / "adapter", target_modules=["q_proj"])
    edited(adapter, "adapter_config.json", r=5)
    with pytest.raises(JobError, match="rank 4"):
        lora_weights.pairs(adapter)


@pytest.mark.parametrize("change", ["layers", "width"])
def test_an_adapter_of_another_model_is_refused(tiny_model: Path, tmp_path: Path, change: str) -> None:
    config = {"num_hidden_layers": 3} if change == "layers" else {"hidden_size": 128}
    other = build_model(tmp_path / "other", **config)
    adapter = build_adapter(other, tmp_path / "adapter", target_modules=["q_proj"])
    with pytest.raises(JobError, match="another model"):
        merge.merge(tiny_model, adapter, tmp_path)


def test_quantised_base_weights_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    adapter = build_adapter(tiny_model, tmp_path / "adapter", target_modules=["q_proj"])
    base = tmp_path / "base"
    shutil.copytree(tiny_model, base)
    edited(base, "config.json", quantization_config={"load_in_4bit": True})
    with pytest.raises(JobError, match="quantised"):
        merge.merge(base, adapter, tmp_path)
    shutil.copyfile(tiny_model / "config.json", base / "config.json")
    weights = load_file(base / "model.safetensors")
    name = "model.layers.0.self_attn.q_proj.weight"
    save_file(weights | {name: weights[name].to(torch.int8)}, base / "model.safetensors", {"format": "pt"})
    with pytest.raises(JobError, match="stored as I8"):
        merge.merge(base, adapter, tmp_path)


def test_a_tied_head_is_refused(tmp_path: Path) -> None:
    base = build_model(tmp_path / "base", tie_word_embeddings=True)
    adapter = build_adapter(base, tmp_path / "adapter", target_modules=["lm_head"])
    with pytest.raises(JobError):
        merge.merge(base, adapter, tmp_path)


@pytest.mark.parametrize("size", [4, 40, -10])
def test_a_broken_file_is_refused(tiny_model: Path, tmp_path: Path, size: int) -> None:
    base = tmp_path / "base"
    shutil.copytree(tiny_model, base)
    content = (tiny_model / "model.safetensors").read_bytes()
    (base / "model.safetensors").write_bytes(content[:size])
    with pytest.raises(JobError, match="safetensors"):
        merge.copy(base, tmp_path)
