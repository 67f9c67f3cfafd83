"""Quantised base models: what is merged into is what bitsandbytes and transformers dequantise to, bit for bit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from studio.core.errors import JobError
from studio.jobs.export import lora_sums, merge, packed_weights, safetensors_file
from studio.jobs.model import quantization

from ..workbench import build_model
from .test_merge import build_adapter, half, split

QUANTISED: dict[str, dict[str, Any]] = {
    "nf4": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
    "nf4 twice": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True},
    "nf4 in bfloat16": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_quant_storage": "bfloat16"},
    "fp4": {"load_in_4bit": True, "bnb_4bit_quant_type": "fp4"},
    "int8": {"load_in_8bit": True},
}
SMALL = {"hidden_size": 64, "intermediate_size": 192, "num_hidden_layers": 1}


def quantised(base: Path, folder: Path, **settings: Any) -> Path:
    """The model as transformers quantises and saves it."""
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    model = AutoModelForCausalLM.from_pretrained(
        str(base), dtype="auto", device_map={"": "cpu"}, quantization_config=BitsAndBytesConfig(**settings)
    )
    model.save_pretrained(str(folder))
    return folder


def merged_by_peft(base: Path, adapter: Path) -> dict[str, Tensor]:
    """Dequantised by transformers first: PEFT's merge into quantised layers quantises the sums again."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(str(base), device_map={"": "cpu"}).dequantize()
    merged: dict[str, Tensor] = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload().state_dict()
    return merged


def merged_by_us(base: Path, adapter: Path, output: Path) -> dict[str, Tensor]:
    shutil.copytree(base, output, ignore=shutil.ignore_patterns("*.safetensors"))
    plan = merge.merge(base, adapter, output).plan
    merge.settle(plan, output)
    assert plan.unpacks and plan.size == sum(w.nbytes for w in weights_in(output).values())
    return weights_in(output)


def weights_in(folder: Path) -> dict[str, Tensor]:
    return {name: weight for shard in folder.glob("*.safetensors") for name, weight in load_file(shard).items()}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32], ids=str)
@pytest.mark.parametrize("way", QUANTISED)
def test_merging_into_a_quantised_base_equals_dequantising_it_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, dtype: torch.dtype
) -> None:
    monkeypatch.setattr("studio.jobs.export.lora_sums.BLOCK_ELEMENTS", 64 * 64)  # several blocks a weight
    base = quantised(half(build_model(tmp_path / "float", **SMALL), dtype), tmp_path / "base", **QUANTISED[way])
    adapter = build_adapter(base, tmp_path / "adapter", target_modules=["q_proj", "down_proj"])
    theirs, ours = merged_by_peft(base, adapter), merged_by_us(base, adapter, tmp_path / "out")
    assert ours.keys() == theirs.keys()
    for name, weight in ours.items():
        assert weight.dtype == dtype and torch.equal(weight, theirs[name]), name


@pytest.mark.parametrize("columns", [7, 96, 130])
def test_rows_that_end_within_a_block_are_what_was_quantised(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, columns: int
) -> None:
    """bitsandbytes 0.50 mixes them up on a CPU, unless it is given one long row."""
    from bitsandbytes import functional

    monkeypatch.setattr("studio.jobs.export.lora_sums.BLOCK_ELEMENTS", 1)
    torch.manual_seed(0)
    weight = torch.randn(300, columns)
    packed, state = functional.quantize_4bit(weight, quant_type="nf4")
    held = {f"q.weight.{key}": value for key, value in state.as_dict(packed=True).items()} | {"q.weight": packed}
    save_file(held, tmp_path / "model.safetensors")
    shards = {tmp_path / "model.safetensors": safetensors_file.tensors(tmp_path / "model.safetensors")}
    unpacked = packed_weights.unpack({"quantization_config": {"load_in_4bit": True}}, shards)[1]
    state.shape = torch.Size((300 * columns,))
    whole = functional.dequantize_4bit(packed, state).view(300, columns)
    with (tmp_path / "model.safetensors").open("rb", buffering=0) as stream:
        read = packed_weights.reader(unpacked["q.weight"], stream)
        blocks = lora_sums.blocks(300, columns, None, unpacked["q.weight"].step)
        assert torch.equal(torch.cat([read(start, end) for start, end in blocks]), whole)
    assert (whole - weight).abs().max() < 0.6


def test_what_is_stored_is_an_ordinary_model(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    base = quantised(half(build_model(tmp_path / "float"), torch.bfloat16), tmp_path / "base", **QUANTISED["nf4 twice"])
    split(base)
    adapter = build_adapter(base, tmp_path / "adapter", target_modules=["q_proj"], use_dora=True)
    ours = merged_by_us(base, adapter, tmp_path / "out")
    assert "quantization_config" not in json.loads((tmp_path / "out" / "config.json").read_text())
    index = json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text())
    assert index["weight_map"].keys() == ours.keys()
    assert index["metadata"]["total_size"] == sum(weight.nbytes for weight in ours.values())
    model = AutoModelForCausalLM.from_pretrained(str(tmp_path / "out"))
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert all(torch.equal(weight, ours[name]) for name, weight in model.state_dict().items() if name in ours)


def without(part: str) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    return lambda held: {name: weight for name, weight in held.items() if part not in name}


def cut(part: str, to: slice) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    return lambda held: {
        name: weight.reshape(-1)[to].clone() if part in name else weight for name, weight in held.items()
    }


@pytest.mark.parametrize(
    ("way", "change", "fault"),
    [
        ("nf4", without("q_proj.weight.absmax"), "q_proj.weight is quantised, and what is saved of it is not whole"),
        ("nf4", without("q_proj.weight.quant_map"), "not whole"),
        ("nf4", without("q_proj.weight.quant_state"), "q_proj.weight is stored as U8"),
        ("nf4", cut("quant_state", slice(9)), "not whole"),
        ("nf4", cut("absmax", slice(3)), "not whole"),
        ("nf4 twice", without("nested_absmax"), "not whole"),
        ("int8", without("SCB"), "not whole"),
        ("int8", cut("SCB", slice(3)), "not whole"),
        ("int8", lambda held: {n: w + 1 if "weight_format" in n else w for n, w in held.items()}, "old bitsandbytes"),
    ],
)
def test_quantised_weights_that_are_not_whole_are_refused(
    tmp_path: Path, way: str, change: Callable[[dict[str, Tensor]], dict[str, Tensor]], fault: str
) -> None:
    plain = build_model(tmp_path / "float", num_hidden_layers=1)
    base = quantised(plain, tmp_path / "base", **QUANTISED[way])
    adapter = build_adapter(plain, tmp_path / "adapter", target_modules=["q_proj"])
    save_file(change(load_file(base / "model.safetensors")), base / "model.safetensors", {"format": "pt"})
    with pytest.raises(JobError, match=fault):
        merge.merge(base, adapter, tmp_path)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"quant_method": "gptq", "bits": 4}, "gptq"),
        ({"quant_method": "awq"}, "awq"),
        ({"quant_method": "fp8"}, "fp8"),
        ({"quant_method": "compressed-tensors"}, "compressed-tensors"),
        ("4bit", "an unknown method"),
    ],
)
def test_what_others_quantised_is_refused_with_the_cure(
    tiny_model: Path, tmp_path: Path, settings: Any, named: str
) -> None:
    base = tmp_path / "base"
    shutil.copytree(tiny_model, base)
    config = json.loads((base / "config.json").read_text()) | {"quantization_config": settings}
    (base / "config.json").write_text(json.dumps(config))
    adapter = build_adapter(tiny_model, tmp_path / "adapter", target_modules=["q_proj"])
    with pytest.raises(JobError, match=f"quantised by {named}") as caught:
        merge.merge(base, adapter, tmp_path)
    assert "the model that was quantised" in str(caught.value.hint)


def test_quantised_layers_that_are_stored_transposed_are_refused(tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    GPT2LMHeadModel(GPT2Config(vocab_size=64, n_positions=32, n_embd=64, n_layer=1, n_head=2)).save_pretrained(
        str(tmp_path / "float")
    )
    base = quantised(tmp_path / "float", tmp_path / "base", **QUANTISED["nf4"])
    adapter = build_adapter(tmp_path / "float", tmp_path / "adapter", target_modules=["c_attn"], fan_in_fan_out=True)
    with pytest.raises(JobError, match="quantised layers of gpt2 are stored the other way round"):
        merge.merge(base, adapter, tmp_path)


@pytest.mark.parametrize("width", [64, 96, 130])
def test_a_model_that_bitsandbytes_reads_wrongly_on_this_cpu_is_refused(width: int) -> None:
    from bitsandbytes import functional, nn

    weight = torch.randn(64, width)
    layer = nn.Linear4bit(width, 64, bias=False, quant_type="nf4")
    layer.weight.data, layer.weight.quant_state = functional.quantize_4bit(weight, quant_type="nf4")
    read = functional.dequantize_4bit(layer.weight.data, layer.weight.quant_state)
    if (read - weight).abs().max() < 0.8:
        quantization.check_reading(torch.nn.Sequential(layer), "tiny")
    else:
        with pytest.raises(JobError, match=f"model tiny: .* rows of {width} values wrongly"):
            quantization.check_reading(torch.nn.Sequential(layer), "tiny")
